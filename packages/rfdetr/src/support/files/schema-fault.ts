// Says in words where a value does not fit its schema.
import { z } from "zod";
import { shown } from "../shown.js";

const words: Readonly<Record<string, string>> = {
  number: "a number",
  int: "an integer",
  boolean: "true or false",
  string: "a text",
  object: "an object",
  record: "an object",
  array: "a list",
};

/**
 * The first value that does not fit a schema, in words such as `Expected a number for step but received "x"`; or null.
 */
export function schemaFault(schema: z.ZodType, value: unknown): string | null {
  const issue = schema.safeParse(value).error?.issues[0];
  if (issue === undefined) return null;
  const name = issue.path.join(".") || "the whole";
  const received = issue.path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown> | null)?.[key], value);
  const wanted =
    issue.code === "invalid_type"
      ? (words[issue.expected] ?? issue.expected)
      : issue.code === "custom"
        ? issue.message
        : (boundOf(issue) ?? "another value");
  return `Expected ${wanted} for ${name} but received ${shown(received)}`;
}

/** A figure that is a fraction of 1, such as AP; sums of rounded numbers may be a little off. */
export const fraction = z
  .number()
  .refine((value) => value > -rounding && value < 1 + rounding, { error: "a number from 0 to 1" });
const rounding = 1e-6;

/** What a number is to be. */
function boundOf(issue: z.core.$ZodIssue): string | null {
  const isNumber = "origin" in issue && (issue.origin === "number" || issue.origin === "int");
  if (issue.code === "too_small" && isNumber) return `a number ${bound(issue.inclusive, "above")} ${issue.minimum}`;
  if (issue.code === "too_big" && isNumber) return `a number ${bound(issue.inclusive, "below")} ${issue.maximum}`;
  return null;
}

const bound = (inclusive: boolean | undefined, beyond: "above" | "below"): string =>
  inclusive === false ? beyond : beyond === "above" ? "of at least" : "of at most";

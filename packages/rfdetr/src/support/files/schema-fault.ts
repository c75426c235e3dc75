import type { z } from "zod";
import { shown } from "../shown.js";

/** The first value that does not fit a schema, in words such as `Expected number for step but received "x"`; or null. */
export function schemaFault(schema: z.ZodType, value: unknown): string | null {
  const issue = schema.safeParse(value).error?.issues[0];
  if (issue === undefined) return null;
  const name = issue.path.join(".") || "the whole";
  const received = issue.path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown> | null)?.[key], value);
  const wanted = issue.code === "invalid_type" ? issue.expected : "another value";
  return `Expected ${wanted} for ${name} but received ${shown(received)}`;
}

// Options of a call, for callers whose compiler does not check them: unknown names and values of a wrong kind.
import { expected, UsageError } from "./errors.js";
import { isPlain } from "./plain.js";
import { didYouMean } from "./suggest.js";

/** What an option accepts. */
export interface OptionKind {
  /** In words that follow "Expected", such as `text`. */
  takes: string;
  fits(value: unknown): boolean;
  /** What to do instead of a value that does not fit, as the end of a sentence; empty where nobody knows. */
  remedy?(value: unknown): string;
}

/** What each option of a call accepts: the type says that none of the interface is forgotten. */
export type OptionKinds<Options> = Readonly<Record<keyof Options, OptionKind>>;

/** Text that is not empty. */
export const text: OptionKind = { takes: "text", fits: (value) => typeof value === "string" && value !== "" };
/** The path of a file or folder. */
export const filePath: OptionKind = { ...text, takes: "a path" };
/** Any list. */
export const anyList: OptionKind = { takes: "a list", fits: Array.isArray };
/** Names of classes: texts, of which some may be empty. */
export const classTexts: OptionKind = {
  takes: "a list of texts",
  fits: (value) => Array.isArray(value) && value.every((each) => typeof each === "string"),
};
/** Names of classes, of which none may come twice. */
export const differentTexts: OptionKind = {
  takes: "a list of different texts",
  fits: (value) => texts.fits(value) && new Set(value as string[]).size === (value as string[]).length,
};
/** Texts that are not empty. */
export const texts: OptionKind = {
  takes: "a list of texts",
  fits: (value) => Array.isArray(value) && value.every(text.fits),
};
/** A number of 0 to 1. */
export const share: OptionKind = {
  takes: "number from 0 to 1",
  fits: (value) => typeof value === "number" && value >= 0 && value <= 1,
};
/** An integer of at least 1. */
export const count: OptionKind = {
  takes: "positive integer",
  fits: (value) => Number.isSafeInteger(value) && (value as number) > 0,
};
/** An integer of at least 0. */
export const countOrZero: OptionKind = {
  takes: "integer of 0 or more",
  fits: (value) => Number.isSafeInteger(value) && (value as number) >= 0,
};
/** A number of at least 0. */
export const zeroOrMore: OptionKind = {
  takes: "number of 0 or more",
  fits: (value) => typeof value === "number" && value >= 0 && value < Infinity,
};
/** A number above 0. */
export const positive: OptionKind = {
  takes: "positive number",
  fits: (value) => typeof value === "number" && value > 0 && value < Infinity,
};
/** Height and width, integers of at least 1. */
export const sides: OptionKind = {
  takes: "height and width",
  fits: (value) => Array.isArray(value) && value.length === 2 && value.every(count.fits),
};
/** An object with names and values. */
export const anyObject: OptionKind = {
  takes: "an object",
  fits: isPlain,
};
/** The signal of an AbortController. */
export const abortSignal: OptionKind = {
  takes: "an AbortSignal",
  fits: (value) => value instanceof AbortSignal,
};
/** True or false. */
export const flag: OptionKind = { takes: "true or false", fits: (value) => typeof value === "boolean" };
/** A function that is called back. */
export const callback: OptionKind = { takes: "a function", fits: (value) => typeof value === "function" };
/** One of the given values. */
export const oneOf = (...values: readonly (string | boolean)[]): OptionKind => ({
  takes: `one of ${values.map((value) => JSON.stringify(value)).join(", ")}`,
  fits: (value) => values.includes(value as string),
});

/** A value of a kind, or null. */
export const orNull = ({ takes, fits }: OptionKind): OptionKind => ({
  takes: `${takes}, or null`,
  fits: (value) => value === null || fits(value),
});

/**
 * Checks the options of a call. What is undefined counts as left out.
 * @param call name of the call in errors
 * @param options what the caller gave
 * @param known its options by name
 * @param required names of those that cannot be left out
 * @throws UsageError for options that are no object, an unknown name (with the one that was probably meant) or a value
 * of the wrong kind
 */
export function checkOptions(
  call: string,
  options: unknown,
  known: Readonly<Record<string, OptionKind>>,
  required: readonly string[] = [],
): void {
  const given = plainObject<Readonly<Record<string, unknown>>>(call, options);
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue;
    if (!Object.hasOwn(known, name)) {
      const names = Object.keys(known);
      throw new UsageError(
        `Expected one of the options ${names.join(", ")} for ${call} but received ${name}${didYouMean(name, names)}`,
      );
    }
    const { [name]: kind } = known;
    if (kind.fits(value)) continue;
    const remedy = kind.remedy?.(value) ?? "";
    throw new UsageError(`${expected(kind.takes, name, value)}${remedy === "" ? "" : `: ${remedy}`}`);
  }
  for (const name of required)
    if (given[name] === undefined)
      throw new UsageError(`Expected ${known[name].takes} for the option ${name} of ${call} but received none`);
}

/** Checks an argument of a call. @throws UsageError */
export function checkArgument(name: string, value: unknown, { takes, fits }: OptionKind): void {
  if (!fits(value)) throw new UsageError(expected(takes, name, value));
}

/**
 * The options of a call as an object.
 * @throws UsageError for anything else, such as null, text, or a Map, whose values would be missed
 */
export function plainObject<T extends object>(call: string, options: unknown): T {
  if (!isPlain(options)) throw new UsageError(expected("an object of options", call, options));
  return options as T;
}

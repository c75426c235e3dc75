// Options of a call, for pages whose compiler does not check them.
import { expected } from "../support/errors.js";
import { isPlain } from "../support/plain.js";

/** What an option takes, in words that follow "Expected", and whether a value is that. */
export type OptionKind = readonly [takes: string, fits: (value: unknown) => boolean];

/** A kind for each option of a call. */
export type OptionKinds<T> = Readonly<Record<keyof T, OptionKind>>;

/**
 * Refuses names that are no options, since a misspelt one would have no effect, and values of another kind.
 * @param call name of the call in errors
 * @param options what the caller gave
 * @throws Error for options that are no object, for an unknown name, and for a wrong value
 */
export function checkOptions(call: string, options: unknown, kinds: Readonly<Record<string, OptionKind>>): void {
  if (!isPlain(options)) throw new Error(expected("an object of options", call, options));
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(kinds, name))
      throw new Error(`Expected one of the options ${Object.keys(kinds).join(", ")} for ${call} but received ${name}`);
    if (value !== undefined) checkValue(name, value, kinds[name]);
  }
}

/** @throws Error for a value of another kind */
export function checkValue(name: string, value: unknown, [takes, fits]: OptionKind): void {
  if (!fits(value)) throw new Error(expected(takes, name, value));
}

/** A kind that the type of a value tells. */
export const typed = (type: "function" | "boolean" | "object", takes: string = type): OptionKind => [
  takes,
  (value) => typeof value === type && value !== null,
];

const isAddress = (value: unknown): boolean => typeof value === "string" || value instanceof URL;

export const address: OptionKind = ["address", isAddress];
export const file: OptionKind = ["address or bytes", (value) => isAddress(value) || value instanceof Uint8Array];

// Options of a call, for pages whose compiler does not check them.
import { instanceOf, isPlain } from "../support/plain.js";

/**
 * Refuses names that are no options: a misspelt one would have no effect.
 * @param call name of the call in errors
 * @param options what the caller gave
 * @param known names of its options
 * @throws Error for options that are no object, and for an unknown name
 */
export function checkNames(call: string, options: unknown, known: readonly string[]): void {
  if (typeof options !== "object" || options === null)
    throw new Error(`Expected an object of options for ${call} but received ${String(options)}`);
  if (!isPlain(options))
    throw new Error(`Expected an object of options for ${call} but received ${instanceOf(options)}`);
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown !== undefined)
    throw new Error(`Expected one of the options ${known.join(", ")} for ${call} but received ${unknown}`);
}

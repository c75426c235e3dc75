// Tells plain objects from instances of classes, whose inherited values a loop over the entries would miss.

/**
 * Whether the values of an object are its own properties. Those of a Map, a Promise or a class with getters are not;
 * an instance of a class that has methods only is as good as a literal.
 */
export function isPlain(value: unknown): value is object {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  if (Object.getPrototypeOf(value) === null) return true;
  if (Object.prototype.toString.call(value) !== "[object Object]") return false;
  for (let above = Object.getPrototypeOf(value); !isRoot(above); above = Object.getPrototypeOf(above))
    for (const inherited of Object.values(Object.getOwnPropertyDescriptors(above)))
      if (typeof inherited.value !== "function") return false;
  return true;
}

/** Whether something is `Object.prototype`, of this realm or another, or nothing. */
const isRoot = (above: object | null): boolean =>
  above === null || (Object.getPrototypeOf(above) === null && Object.hasOwn(above, "isPrototypeOf"));

/** The name of the class of an object, with what a sentence needs around it. */
export const instanceOf = (value: object): string => `an instance of ${value.constructor?.name || "a class"}`;

// Names in files are snake_case, names in TypeScript camelCase.

/** `grad_accum_steps` as a type: `gradAccumSteps`. */
export type CamelCase<S extends string> = S extends `${infer A}_${infer B}${infer C}`
  ? `${A}${Uppercase<B>}${CamelCase<C>}`
  : S;

/** `grad_accum_steps` → `gradAccumSteps`. */
export function camelCase(name: string): string {
  return name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/** `gradAccumSteps` → `grad_accum_steps`. */
export function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** What the Python package calls the row of the class head that stands for no class. */
export const backgroundName = "__background__";

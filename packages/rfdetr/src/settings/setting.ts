// What a setting is made of, and the types of number that many settings share.
import { z } from "zod";

export const count = z.number().int().positive();
export const countOrZero = z.number().int().nonnegative();
export const rate = z.number().nonnegative();
export const share = z.number().min(0).max(1);

/** One setting: its type, default and meaning. */
export interface Setting {
  type: z.ZodType;
  fallback: unknown;
  about: string;
  /** The values it accepts, in words, if the type does not say it. */
  takes?: string;
  /** The largest number it accepts, where a larger one could only be a mistake. */
  most?: number;
  /** What other tools call its values, in lower case. */
  means?: Readonly<Record<string, string>>;
  /** Whether the package does not have it. */
  ours?: boolean;
  /** How the default, or what the setting does, differs from the package, and why. */
  differs?: string;
  /** The package's name for it, if it is another. */
  also?: string;
  /** Values that the package accepts and this program does not, each with the reason and the alternative. */
  without?: Readonly<Record<string, string>>;
}

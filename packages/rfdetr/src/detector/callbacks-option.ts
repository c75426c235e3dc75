// The option that names a module of callbacks.
import { fileURLToPath } from "node:url";
import { type OptionKind, text } from "../support/options.js";

/** What the option accepts. */
export const moduleFile: OptionKind = {
  takes: "the path or file: URL of a module",
  fits: (value) => value === null || text.fits(value) || (value instanceof URL && value.protocol === "file:"),
};

/** The setting `callbacks`, where a caller gave it. */
export const callbacksGiven = (callbacks: string | URL | null | undefined): { callbacks?: string | null } =>
  callbacks === undefined ? {} : { callbacks: callbacks instanceof URL ? fileURLToPath(callbacks) : callbacks };

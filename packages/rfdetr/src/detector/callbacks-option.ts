// The option that names a module of callbacks.
import { fileURLToPath } from "node:url";
import type { TrainCallbacks } from "../run/callbacks/train-callbacks.js";
import { type OptionKind, text } from "../support/options.js";

/** What the option accepts. */
export const moduleFile: OptionKind = {
  takes: "the path or file: URL of a module that exports callbacks",
  fits: (value) => value === null || text.fits(value) || (value instanceof URL && value.protocol === "file:"),
};

/** What the compiler says to whoever gives the callbacks themselves. */
type InAModule = "Callbacks run in the thread that trains: give the path or file: URL of the module that exports them";

/**
 * A module of callbacks, by its path or `file:` URL; its default export is made with `defineCallbacks`. No object
 * fits: the training runs in another thread, which imports the module.
 */
export type CallbacksModule = string | URL | { readonly [K in Exclude<keyof TrainCallbacks, "name">]?: InAModule };

/** The setting `callbacks`, where a caller gave it: a path or URL, as {@link moduleFile} has checked. */
export const callbacksGiven = (callbacks: CallbacksModule | null | undefined): { callbacks?: string | null } =>
  callbacks === undefined
    ? {}
    : { callbacks: callbacks instanceof URL ? fileURLToPath(callbacks) : (callbacks as string | null) };

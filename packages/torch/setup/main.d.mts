// Types of `@rfdetr/torch/setup`, for users in TypeScript.

/** What set-up is asked for. */
export interface Options {
  /** A libtorch or `site-packages/torch` folder; `auto` forgets the one that was chosen before. */
  libtorch?: string;
  /** A libtorch with CUDA. */
  cuda?: boolean;
  /** Compile the addon, even where the package brings one that serves. */
  noPrebuilt?: boolean;
}

/** A thing that set-up needs or makes: whether it is there, what was found, and what to do. */
export interface Check {
  name: string;
  ok: boolean;
  /** It is there, but made of other sources. */
  stale?: boolean;
  /** It came with the package, and has only to be put into its place. */
  prebuilt?: boolean;
  found: string;
  remedy?: string;
}

/** Root of the checkout. */
export const root: string;
/** Whether nothing is left to do. */
export function isReady(options?: Options): boolean;
/** Whether all is there but the addon: npm packages and, in a checkout, a build of the sources as they are now. */
export function isBuilt(): boolean;
/** What is there, what is missing and what is older than its sources. */
export function preflight(): Promise<Check[]>;
/** The libtorch that the addon was put there for, and whether the user chose it; null if there is none. */
export function libtorchInUse(): { root: string; isChosen: boolean } | null;
/**
 * Does what is left to do: finds or fetches libtorch, and finds or compiles the addon.
 * @throws Error that tells what was tried and what to do
 */
export function setup(options?: Options): Promise<void>;
/** The same for a command: ends the process with the report when it cannot be done; with `json`, on stdout too. */
export function setupOrExit(options?: Options & { json?: boolean }): Promise<void>;

// Errors of the operating system in plain words, instead of `ENOENT: no such file or directory, open …`.

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EACCES: "permission is denied",
  EPERM: "permission is denied",
  EEXIST: "the name is already in use",
  EISDIR: "it is a folder",
  ENOTDIR: "a part of the path is a file",
  ENOTEMPTY: "the folder is not empty",
  ENOSPC: "the disk is full",
  EDQUOT: "the quota of the disk is used up",
  EFBIG: "the file would be larger than the system allows",
  EROFS: "the file system is read-only",
  EMFILE: "too many files are open: raise the limit with ulimit -n",
  ENFILE: "too many files are open in the whole system",
  EBUSY: "another program uses it",
  ELOOP: "its links lead in a circle",
  ESTALE: "the network folder that held it has changed",
  ENAMETOOLONG: "the name is too long",
  EIO: "the disk reports an error",
};

/**
 * Whether an error comes from the operating system: its codes, such as `ENOENT`, have no underscore; other codes do.
 */
export function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && /^E[A-Z0-9]+$/.test(String((error as NodeJS.ErrnoException).code));
}

/** Whether there is no room: on the disk, or in the share of it that the user may have. */
export const isFull = (error: unknown): boolean =>
  isSystemError(error) && (error.code === "ENOSPC" || error.code === "EDQUOT");

/** Whether an error comes from files, and not from a network. */
export const isFileError = (error: unknown): error is NodeJS.ErrnoException =>
  isSystemError(error) && (error.code ?? "") in reasons;

/**
 * Why something failed, to follow a colon: plain words for an error of the operating system, else the message of the
 * error.
 */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (isSystemError(error) && error.code === "ENOENT" && error.path?.includes("\ufffd") === true)
    return "its name is not valid UTF-8, so that it cannot be opened: rename it";
  if ((error as NodeJS.ErrnoException).code === "ERR_UNKNOWN_FILE_EXTENSION" && /\.[cm]?ts\b/.test(error.message))
    return `Node ${process.versions.node} reads no TypeScript: write it as JavaScript (.mjs), or take Node 22.18 or later`;
  const reason = isSystemError(error) ? reasons[error.code ?? ""] : undefined;
  return reason ?? error.message;
}

/** What is there is not what the program took it for: that is its own fault where nobody foresaw it. */
const mistaken: ReadonlySet<string | undefined> = new Set(["ENOENT", "EEXIST", "EISDIR", "ENOTDIR", "ENOTEMPTY"]);

/** A sentence for what the system refuses, where nobody foresaw it; null for every other error. */
export function refusalOf(error: unknown): string | null {
  if (!isFileError(error)) return null;
  if (error.syscall === "uv_cwd") return "The current folder does not exist any more: change to another";
  if (mistaken.has(error.code)) return null;
  return `${error.path ?? "A file"} cannot be used: ${reasonOf(error)}`;
}

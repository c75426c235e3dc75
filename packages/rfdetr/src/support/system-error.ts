// Errors of the operating system in plain words: what a user may read in place of `ENOENT: no such file or directory, open …`.

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EACCES: "permission is denied",
  EPERM: "permission is denied",
  EEXIST: "something of this name is there already",
  EISDIR: "it is a folder",
  ENOTDIR: "a part of the path is a file",
  ENOSPC: "the disk is full",
  EROFS: "the file system is read-only",
  EMFILE: "too many files are open",
  ENAMETOOLONG: "the name is too long",
  EIO: "the disk reports an error",
};

/** Whether the operating system refused something: its codes, such as `ENOENT`, have no underscore as those of programs do. */
export function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && /^E[A-Z0-9]+$/.test(String((error as NodeJS.ErrnoException).code));
}

/** Why something failed, to stand after a colon: plain words for what the system refuses, else the message of the error. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const reason = isSystemError(error) ? reasons[error.code ?? ""] : undefined;
  return reason ?? error.message;
}

// Images that are not files: at an address, or on stdin. What they are called.
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { PictureError } from "../../support/errors.js";

/** What stands for the image on stdin, on the command line and in results. */
export const stdinName = "-";

/** Whether text is an address that images are read from. */
export const isFetched = (text: string): boolean => /^(https?|data):/i.test(text);

/** Whether text is an address that nothing is read from. */
export const isForeign = (text: string): boolean => /^(ftp|s3|gs|blob):/i.test(text);

/** The path of a `file:` address; other text as it is. @throws PictureError for an address that is no path here */
export const pathOf = (text: string): string => (/^file:\/\//i.test(text) ? pathOfAddress(text) : text);

/** @throws PictureError for an address of another machine, or whose text is no path */
export function pathOfAddress(address: string | URL): string {
  try {
    return fileURLToPath(address);
  } catch (cause) {
    throw new PictureError(
      "ERR_PICTURE_INPUT",
      `Expected an address of a file on this machine, such as file:///folder/a%20b.png in UTF-8, but received ${address}`,
      { cause },
    );
  }
}

/** Whether an image is a file of this machine. */
export const isLocal = (name: string): boolean => name !== stdinName && !isFetched(name);

/** An address without what may be secret. */
export function shownAddress(url: string): string {
  if (/^data:/i.test(url)) return "a data URL";
  if (!URL.canParse(url)) return "an address that is not valid";
  const { origin, pathname } = new URL(url);
  return origin + pathname;
}

/** An image in messages. */
export function shownImage(name: string): string {
  if (name === stdinName) return "stdin";
  // A line break in the name of a file would tear a line in two.
  return isFetched(name) ? shownAddress(name) : name.replace(/\p{Cc}/gu, (each) => JSON.stringify(each).slice(1, -1));
}

/** What the files about an image that is no file are called: like a file in the current folder. */
export function fileNameOfImage(name: string): string {
  if (name === stdinName) return "stdin";
  if (/^data:/i.test(name) || !URL.canParse(name)) return "image";
  const { hostname, pathname } = new URL(name);
  const last = basename(pathname).replace(/[^\p{L}\p{N}._-]/gu, "_");
  return /^\.*$/.test(last) ? hostname : last;
}

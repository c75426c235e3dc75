// Looks at the file of a listed image: whether it is there, its size, how it is turned.
import { existsSync, lstatSync } from "node:fs";
import { DataError } from "../../support/errors.js";
import { type ImageHeader, readImageHeader } from "../images/image-header.js";
import { checkPixels } from "../images/limits.js";
import { chooseOrientation } from "../images/orientation.js";
import type { ListedImage } from "./listing.js";

/** How the headers of files are read. */
export interface HeaderOptions {
  autoOrient: boolean;
}

/** The image with what its file says, or with why it cannot be used. */
export function withHeader(image: ListedImage, { autoOrient }: HeaderOptions): ListedImage {
  if (image.fault !== null) return image;
  let header: ImageHeader;
  try {
    header = readImageHeader(image.file);
    checkPixels(header, image.file);
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    const missing = !existsSync(image.file);
    image.fault = missing
      ? {
          kind: "missing",
          reason: isLink(image.file) ? "it is a link to a file that is gone" : "there is no such file",
        }
      : { kind: "unreadable", reason: error.message };
    return image;
  }
  image.header = header;
  image.orientation = autoOrient ? chooseOrientation(header, image.size) : 1;
  return image;
}

const isLink = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;

// Images of the data that a run's records name. The page asks for them by a number that the server made, never by path.
import { realpathSync, statSync } from "node:fs";
import { isAbsolute, join, sep } from "node:path";
import { readImageHeader, type Size } from "../../data/images/image-header.js";
import { chooseOrientation } from "../../data/images/orientation.js";
import { DataError } from "../../support/errors.js";
import { sha256 } from "../../support/files/sha256.js";

/** Pixels of the longer side of an image that is sent. */
const longest = 1280;
/** Images of a run that are remembered. */
const most = 20_000;

interface NamedImage {
  file: string;
  size: Size | null;
}

/** The images of the data of one run that were named to the page. */
export class NamedImages {
  readonly #named = new Map<string, NamedImage>();

  /** Names an image to the page. @param size that the boxes refer to; null where it is not known */
  name(file: string, size: Size | null = null): string {
    const id = sha256(file).slice(0, 16);
    if (this.#named.size < most && (size !== null || !this.#named.has(id))) this.#named.set(id, { file, size });
    return id;
  }

  /**
   * An image as a JPEG, whatever it was: what does not decode as a picture does not leave the machine's files.
   * @param data the folder of the data, from the configuration of the run
   * @throws DataError where there is no such image in the folder, or it does not decode
   */
  async jpeg(data: string, id: string): Promise<Buffer> {
    const named = this.#named.get(id);
    const path = named === undefined ? null : fileInside(data, named.file);
    if (named === undefined || path === null) throw new DataError("Expected an image of the run's data");
    // The image library takes memory that a server without a look at images need not have.
    const [{ decodeImage }, { sharp }] = await Promise.all([
      import("../../data/images/decode.js"),
      import("../../data/images/sharp.js"),
    ]);
    const header = readImageHeader(path);
    const orientation = chooseOrientation(header, named.size);
    const pixels = await decodeImage(path, header, { orientation, atLeast: longest });
    const { width, height } = pixels;
    return await sharp(pixels.data, { raw: { width, height, channels: 3 } })
      .resize({ width: longest, height: longest, fit: "inside", withoutEnlargement: true })
      .jpeg({ quality: 85 })
      .toBuffer();
  }
}

/** The path of a file of a folder; null for what lies elsewhere, also where a link leads. */
function fileInside(folder: string, file: string): string | null {
  try {
    const root = realpathSync(folder);
    const path = realpathSync(isAbsolute(file) ? file : join(root, file));
    return path.startsWith(root.endsWith(sep) ? root : `${root}${sep}`) && statSync(path).isFile() ? path : null;
  } catch {
    return null;
  }
}

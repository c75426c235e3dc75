// Images of the data that a run's records name. The page asks for them by a number that the server made, never by path.
import { dirname, join, relative, resolve } from "node:path";
import { isFile, isFolder, isInside } from "../../data/formats/find-file.js";
import { readImageHeader, type Size } from "../../data/images/image-header.js";
import { chooseOrientation } from "../../data/images/orientation.js";
import { readDatasetList } from "../../data/several/dataset-list.js";
import { DataError } from "../../support/errors.js";
import { sha256 } from "../../support/files/sha256.js";

/** Pixels of the longer side of an image that is sent. */
const longest = 1280;
/** Images of a run that are remembered. */
const most = 20_000;

/** Where the data of a run were when it trained, and where they are: a run may have moved together with its data. */
export interface DataPlace {
  was: string;
  is: string;
}

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
   * @throws DataError where there is no such image in the data, or it does not decode
   */
  async jpeg(data: DataPlace, id: string): Promise<Buffer> {
    const named = this.#named.get(id);
    const path = named === undefined ? null : fileOfData(data, named.file);
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

/**
 * The path of a file of the data; null for what lies elsewhere. Links in the folder are followed, as training follows
 * them: the copies that `data check --fix`, `data split` and `data convert` write are made of links.
 */
function fileOfData({ was, is }: DataPlace, file: string): string | null {
  const before = resolve(was, file);
  const path = isInside(was, before) ? join(is, relative(was, before)) : before;
  return foldersOf(is).some((folder) => isInside(folder, path)) && isFile(path) ? path : null;
}

/** The folders of what a run was given as its data: a folder, the YAML file of one, or a list of several. */
function foldersOf(data: string): string[] {
  const datasets = readDatasetList(data)?.map(({ path }) => path) ?? [data];
  return datasets.map((path) => (isFolder(path) ? path : dirname(path)));
}

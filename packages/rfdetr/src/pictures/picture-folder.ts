// A folder of pictures that is being written: files first, then the index.
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Figure } from "../charts/svg.js";
import { sharp } from "../data/images/sharp.js";
import { makeFolder, replaceFile } from "../support/files/atomic.js";
import { dropPictures, listPictures, type PictureEntry, type PictureKind } from "./picture-index.js";
import { rasterize } from "./rasterize.js";

/** What is written of a picture besides its pixels. */
export type PictureText = Pick<PictureEntry, "title" | "alt"> & { kind: PictureKind };

/**
 * Writes pictures into a folder, each whole or not at all.
 * @throws RunDirectoryError, from all methods, if something cannot be written
 */
export class PictureFolder {
  readonly #entries: PictureEntry[] = [];

  /**
   * Makes the folder if it is not there.
   * @param about what holds for all pictures that are written
   */
  constructor(
    readonly path: string,
    readonly about: Pick<PictureEntry, "epoch"> = {},
  ) {
    makeFolder(path);
  }

  /** Writes a figure: as SVG, or as a JPEG where the name says so. */
  async figure(file: string, kind: PictureKind, figure: Figure): Promise<void> {
    const { title, alt, width, height, svg } = figure;
    if (file.endsWith(".svg")) {
      this.#write(file, svg);
      this.#entries.push({ file, kind, title, alt, width, height, ...this.about });
    } else await this.photo(file, { kind, title, alt }, await rasterize(figure, "jpeg"));
  }

  /** Writes an encoded picture. */
  async photo(file: string, { kind, title, alt }: PictureText, content: Buffer): Promise<void> {
    const { width, height } = await sharp(content).metadata();
    this.#write(file, content);
    this.#entries.push({ file, kind, title, alt, width, height, ...this.about });
  }

  /**
   * Lists what was written in `pictures.json`.
   * @param whole kinds of which nothing else may stay: what the index had of them before is removed
   * @returns the entries of what was written
   */
  finish(whole: readonly PictureKind[] = []): readonly PictureEntry[] {
    const written = new Set(this.#entries.map(({ file }) => file));
    for (const file of dropPictures(this.path, ({ kind, file }) => whole.includes(kind) && !written.has(file)))
      rmSync(join(this.path, file), { force: true });
    listPictures(this.path, this.#entries);
    return this.#entries;
  }

  #write(file: string, content: string | Buffer): void {
    replaceFile(join(this.path, file), (temporary) => writeFileSync(temporary, content));
  }
}

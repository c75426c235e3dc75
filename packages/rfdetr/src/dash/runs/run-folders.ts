// Which runs a folder holds, and which of their files the page may ask for: none that lies outside of the folder.
import { type Dirent, existsSync, readdirSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import { RunDirectoryError } from "../../support/errors.js";
import { absence, hidden } from "../../support/files/near-path.js";
import { sha256 } from "../../support/files/sha256.js";

/** A run in the folder of the runs. */
export interface RunFolder {
  /** What addresses it. It is made of the path and does not tell it. */
  id: string;
  /** The path relative to the folder of the runs; of a run that is this folder itself, the name of the folder. */
  name: string;
  path: string;
}

/** Folders below the folder of the runs in which runs are looked for. */
const deepest = 3;
/** Folders that are looked into at most. */
const most = 5000;
/** Milliseconds for which a listing is taken to be true. */
const fresh = 900;
/** Folders of a run, which hold no other. */
const parts = new Set(["weights", "checkpoint", "pictures", "node_modules"]);

/** The runs in a folder. Links are not followed: a run must lie there itself. */
export class RunFolders {
  readonly root: string;
  #runs = new Map<string, RunFolder>();
  #listed = Number.NEGATIVE_INFINITY;

  /**
   * @param mayLack whether there may be no such folder yet; then it has no runs until it is there
   * @throws RunDirectoryError where there is no such folder
   */
  constructor(folder: string, mayLack = false) {
    const root = resolve(folder);
    if (mayLack && !existsSync(root) && existsSync(dirname(root))) {
      this.root = join(realpathSync(dirname(root)), basename(root));
      return;
    }
    if (!existsSync(root) || hidden(root) !== null)
      throw new RunDirectoryError(`Expected a folder of runs but ${root} ${absence(root)}`);
    if (!statSync(root).isDirectory()) throw new RunDirectoryError(`Expected a folder of runs but ${root} is a file`);
    this.root = realpathSync(root);
  }

  /** The runs by name; numbers in names count as numbers. */
  list(): RunFolder[] {
    if (performance.now() - this.#listed > fresh) {
      const found = [...runsBelow(this.root)].map((path) => {
        const name = relative(this.root, path) || basename(path);
        return { id: sha256(name).slice(0, 16), name, path };
      });
      const order = new Intl.Collator("en", { numeric: true });
      this.#runs = new Map(found.sort((a, b) => order.compare(a.name, b.name)).map((run) => [run.id, run]));
      this.#listed = performance.now();
    }
    return [...this.#runs.values()];
  }

  /** The run that the folder itself is; null for a folder of runs. */
  get only(): RunFolder | null {
    return this.list().find(({ path }) => path === this.root) ?? null;
  }

  /** The run of an id; null where there is none, or none any more. */
  get(id: string): RunFolder | null {
    this.list();
    return this.#runs.get(id) ?? null;
  }
}

function* runsBelow(root: string): Generator<string> {
  let looked = 0;
  const waiting: [path: string, depth: number][] = [[root, 0]];
  for (let next = waiting.shift(); next !== undefined && looked++ < most; next = waiting.shift()) {
    const [path, depth] = next;
    const entries = entriesOf(path);
    if (entries.some((entry) => entry.name === "config.json" && entry.isFile())) yield path;
    else if (depth < deepest)
      for (const entry of entries)
        if (entry.isDirectory() && !entry.name.startsWith(".") && !parts.has(entry.name))
          waiting.push([join(path, entry.name), depth + 1]);
  }
}

function entriesOf(path: string): Dirent[] {
  try {
    return readdirSync(path, { withFileTypes: true });
  } catch {
    // It went meanwhile, or permission is denied: it holds no run that could be shown.
    return [];
  }
}

/**
 * The path of a file of a run, or of another folder whose path has no link in it; null where it does not exist, is no
 * regular file, or is or passes a link or leads out of the folder.
 */
export function ownFile(folder: string, ...names: readonly string[]): string | null {
  const path = join(folder, ...names);
  try {
    if (!path.startsWith(`${folder}/`) || realpathSync(path) !== path) return null;
    return statSync(path).isFile() ? path : null;
  } catch {
    return null;
  }
}

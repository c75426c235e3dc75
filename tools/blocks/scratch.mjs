// @ts-check
// The folder in which the blocks of a document are run: a small dataset, a short run, and files under the names that
// the documents use.
import { copyFileSync, linkSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** Files above so many bytes are linked rather than copied: nothing writes into them, they are replaced as a whole. */
const large = 100_000;
const weights = "runs/nano/weights/best.safetensors";

/**
 * Makes what every document finds.
 * @param {string} folder
 * @param {(words: string[]) => Promise<void>} rfdetr runs a command in this folder
 */
export async function makeTemplate(folder, rfdetr) {
  mkdirSync(folder, { recursive: true });
  await rfdetr(["data", "synth", "birds", "--images", "30", "--size", "64", "--classes", "2"]);
  for (const split of ["train", "valid", "test"]) {
    const file = join(folder, "birds", split, "_annotations.coco.json");
    const annotations = JSON.parse(readFileSync(file, "utf8"));
    for (const [i, category] of annotations.categories.entries()) category.name = ["heron", "robin"][i];
    writeFileSync(file, JSON.stringify(annotations));
  }
  const settings = {
    epochs: 1,
    plots: false,
    multi_scale: "off",
    num_workers: 0,
    monitor_interval: 1,
    checkpoint_interval: 1,
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ["--set", `${name}=${value}`]);
  const train = ["train", "--data", "birds", "--model", "tiny", "--batch", "8", "--seed", "0", "--plain", ...flags];
  await rfdetr([...train, "--out", "runs/nano"]);
  await rfdetr(["export", "--weights", "runs/nano", "--out", "birds.onnx"]);
  const [first, second] = readdirSync(join(folder, "birds/valid"))
    .filter((name) => name.endsWith(".jpg"))
    .map((name) => join(folder, "birds/valid", name));
  mkdirSync(join(folder, "photos"));
  for (const name of ["bird.jpg", "a.jpg", "aerial.jpg", "photos/1.jpg"]) copyFileSync(first, join(folder, name));
  for (const name of ["b.jpg", "photos/2.jpg"]) copyFileSync(second, join(folder, name));
  for (const copy of ["runs/birds", "runs/birds-2", "runs/nano-2"]) lay(join(folder, "runs/nano"), join(folder, copy));
  lay(join(folder, "birds/train"), join(folder, "all"));
  linkSync(join(folder, weights), join(folder, "best.safetensors"));
  copyFileSync(join(folder, "birds.onnx"), join(folder, "birds-gathers.onnx"));
}

/** Copies a folder. @param {string} from @param {string} to */
export function lay(from, to) {
  for (const entry of readdirSync(from, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const source = join(entry.parentPath, entry.name);
    const target = join(to, source.slice(from.length));
    mkdirSync(dirname(target), { recursive: true });
    if (statSync(source).size > large) linkSync(source, target);
    else copyFileSync(source, target);
  }
}

/** Flags whose value is a file or folder that a command makes, and never replaces. */
const making = ["--out", "--fix", "--write"];
/** Commands that make what their last argument names. */
const makers = ["data synth", "data split", "data convert", "convert"];

/**
 * Takes a file or folder of the template away that a command is going to make.
 * @param {string} folder @param {Set<string>} given names of the template that are still there
 * @param {readonly string[]} words
 */
export function makeRoom(folder, given, words) {
  const named = making.map((flag) => (words.includes(flag) ? words[words.indexOf(flag) + 1] : undefined));
  const isMaker = makers.some((maker) => words.join(" ").startsWith(`${maker} `));
  const plain = words.filter((word, i) => !word.startsWith("--") && !words[i - 1]?.startsWith("--"));
  for (const name of [...named, isMaker ? plain.at(-1) : undefined]) {
    const place = name?.replace(/\/$/, "");
    if (place === undefined || !given.delete(place)) continue;
    rmSync(join(folder, place), { recursive: true, force: true });
  }
}

/** Names of the template that a command may have to make itself. */
export const namesGiven = () =>
  new Set([
    ...["birds", "photos", "birds.onnx", "birds-gathers.onnx"],
    ...["nano", "nano-2", "birds", "birds-2"].map((run) => `runs/${run}`),
  ]);

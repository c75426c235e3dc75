// @ts-check
// What stands in when the blocks of the documents are run: a small model for a large one, two steps for fifty epochs,
// and files for the names that the documents use. Nothing else of a block is changed.

/** Settings of a training that is over in seconds. */
const short = { batch_size: 2, max_steps: 2, multi_scale: "off", plots: false, num_workers: 0 };

/** The same in a program; what the block says itself comes later, and counts. */
const shortOptions = `${Object.entries(short)
  .map(([name, value]) => `${name.replace(/_(\w)/g, (_, letter) => letter.toUpperCase())}: ${JSON.stringify(value)}`)
  .join(", ")},`;
const shortFlags = Object.entries(short).flatMap(([name, value]) => ["--set", `${name}=${value}`]);

const published = ["nano", "small", "medium", "base", "large"];

/**
 * The words of a command as they are run.
 * @param {readonly string[]} words after `rfdetr`
 * @param {(folder: string) => boolean} isFree whether a block could make this folder itself
 * @returns {string[]}
 */
export function wordsToRun(words, isFree) {
  const [command] = words;
  const run = words.map((word, i) => {
    // Nothing is downloaded: the small model has no published weights, and a trained one stands for those.
    if (words[i - 1] === "--model" && published.includes(word)) return "tiny";
    if (words[i - 1] === "--model" && word.startsWith("seg-")) return "seg-tiny";
    if (words[i - 1] === "--weights" && published.includes(word)) return "runs/nano";
    // As many as show that several work together, and as many pixels as show that they need be no square.
    if (words[i - 1] === "--processes") return String(Math.min(2, Number(word)));
    if (words[i - 1] === "--steps") return "1";
    // Weights of two steps find nothing, and so have no threshold.
    if (words[i - 1] === "--threshold" && word.startsWith("best")) return "0.5";
    if (words[i - 1] === "--resolution") return command === "train" && !word.includes("x") ? "128" : "96x160";
    if (words[i - 1] === "--epochs" && words.includes("--resume")) return "2";
    return word;
  });
  const add = (/** @type {string} */ flag, /** @type {string[]} */ ...values) =>
    words.includes(flag) ? [] : [flag, ...values];
  if (command === "train" && !words.includes("--resume")) {
    const model = words.includes("--weights") ? [] : add("--model", "tiny");
    const named = new Set(words.filter((_, i) => words[i - 1] === "--set").map((word) => word.split("=")[0]));
    const flags = shortFlags.filter((_, i) => {
      const [name] = shortFlags[i % 2 === 0 ? i + 1 : i].split("=");
      return !named.has(name) && !(name === "batch_size" && words.includes("--batch"));
    });
    // The folder that the run of the block would have made.
    const folder = `runs/${words[words.indexOf("--model") + 1]}`;
    const out = isFree(folder) ? add("--out", folder) : [];
    return [...run, ...model, ...(words.includes("--dry-run") ? [] : [...out, ...flags]), "--plain"];
  }
  if (command === "demo") return [...run, ...add("--images", "8"), ...add("--steps", "2"), "--plain"];
  if (command === "profile")
    return [...run, ...(words.includes("--weights") ? [] : add("--model", "tiny")), ...add("--steps", "1")];
  if (words[0] === "data" && words[1] === "synth")
    return [...run, ...add("--images", "12"), ...add("--size", "64"), ...add("--classes", "2")];
  return run;
}

/**
 * A compiled program as it is run.
 * @param {string} code JavaScript
 */
export const codeToRun = (code) =>
  code
    .replace(/\bcreate\("(?:nano|small|medium|base|large)"/g, 'create("tiny"')
    .replace(/\bload\("runs\/seg-\w+"/g, 'load("runs/nano"')
    .replace(/\bload\("(?:nano|small|medium|base|large)"/g, 'load("runs/nano/weights/best.safetensors"')
    .replace(/(?<head>\bresume\("[^"]*", \{ epochs: )\d+/g, "$<head>2")
    .replace(/\btrain\(\{/g, `train({ ${shortOptions}`)
    .replace(/"https:\/\/example\.org\/[^"]*"/g, '"bird.jpg"');

// @ts-check
// What is damaged, and how: each kind makes one damaged input from the valid ones.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { withFile } from "./inputs.mjs";
import { forgedPickle, mutateBytes, mutateJson, mutatePth, mutateSafetensors, mutateText } from "./mutations.mjs";

/** @typedef {import("./mutations.mjs").Draw} Draw */
/**
 * @typedef {object} Kind
 * @property {string} name
 * @property {string} reader of child.mjs
 * @property {string} whole path of the valid input, which must be accepted
 * @property {(draw: Draw, inputs: string, target: string) => string} make writes the input, and gives its path
 */

/** @param {string} path @param {Buffer | string} content */
function written(path, content) {
  writeFileSync(path, content);
  return path;
}

/**
 * A folder with one text file damaged.
 * @param {string} from
 * @param {string} name of the file, or `folder/*` for any of it
 * @param {(draw: Draw, text: string) => string} damage
 * @returns {Kind["make"]}
 */
const folderWith = (from, name, damage) => (draw, inputs, target) => {
  const names = name.includes("*") ? readdirSync(join(inputs, from, name.split("/*")[0])) : [];
  const file = names.length === 0 ? name : name.replace("*", names[draw(names.length)]);
  withFile(join(inputs, from), target, file, damage(draw, readFileSync(join(inputs, from, file), "utf8")));
  return target;
};

/** @type {Kind[]} */
export const kinds = [
  {
    name: "weights .safetensors",
    reader: "weights",
    whole: "model.safetensors",
    make: (draw, inputs, target) =>
      written(`${target}.safetensors`, mutateSafetensors(draw, readFileSync(join(inputs, "model.safetensors")))),
  },
  {
    name: "weights .pth",
    reader: "weights",
    whole: "model.pth",
    make: (draw, inputs, target) =>
      written(
        `${target}.pth`,
        draw(6) === 0 ? forgedPickle(draw) : mutatePth(draw, readFileSync(join(inputs, "model.pth"))),
      ),
  },
  {
    name: "COCO annotations",
    reader: "dataset",
    whole: "coco",
    make: folderWith("coco", "train/_annotations.coco.json", mutateJson),
  },
  { name: "YOLO data.yaml", reader: "dataset", whole: "yolo", make: folderWith("yolo", "data.yaml", mutateText) },
  { name: "YOLO labels", reader: "dataset", whole: "yolo", make: folderWith("yolo", "train/labels/*", mutateText) },
  {
    name: "images",
    reader: "image",
    whole: "images/a.jpg",
    make: (draw, inputs, target) => {
      const names = readdirSync(join(inputs, "images"));
      const name = names[draw(names.length)];
      return written(`${target}${name.slice(1)}`, mutateBytes(draw, readFileSync(join(inputs, "images", name))));
    },
  },
  {
    name: "results of detection",
    reader: "results",
    whole: "results",
    make: (draw, inputs, target) =>
      folderWith("results", draw(4) === 0 ? "annotations.json" : "results.json", mutateJson)(draw, inputs, target),
  },
  { name: "run: config.json", reader: "run", whole: "run", make: folderWith("run", "config.json", mutateJson) },
  {
    name: "run: state.json",
    reader: "run",
    whole: "run",
    make: folderWith("run", "checkpoint/state.json", mutateJson),
  },
  {
    name: "run: checkpoint tensors",
    reader: "run",
    whole: "run",
    make: (draw, inputs, target) => {
      const name = ["model", "ema", "optimizer"][draw(3)];
      const file = `checkpoint/${name}.safetensors`;
      withFile(join(inputs, "run"), target, file, mutateBytes(draw, readFileSync(join(inputs, "run", file))));
      return target;
    },
  },
  {
    name: "numerics.jsonl",
    reader: "numerics",
    whole: "run/numerics.jsonl",
    make: (draw, inputs, target) =>
      written(`${target}.jsonl`, mutateText(draw, readFileSync(join(inputs, "run/numerics.jsonl"), "utf8"))),
  },
  {
    name: "settings",
    reader: "settings",
    whole: "settings.json",
    make: (draw, inputs, target) =>
      written(`${target}.json`, mutateJson(draw, readFileSync(join(inputs, "settings.json"), "utf8"))),
  },
];

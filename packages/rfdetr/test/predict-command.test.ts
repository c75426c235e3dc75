// `rfdetr predict` as its users meet it: in a process of its own.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, linkSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join, sep } from "node:path";
import { setTimeout } from "node:timers/promises";
import { manualSeed, scope } from "@rfdetr/torch";
import sharp from "sharp";
import { beforeAll, describe, expect, it } from "vitest";
import { RFDETRModel } from "../src/model/rfdetr.js";
import { resolveModel } from "../src/model/variants.js";
import { saveWeights } from "../src/weights/weights.js";
import { folder, script } from "./command-script.js";

const weights = ["--weights", join(folder, "tiny.safetensors"), "--device", "cpu", "--precision", "32-true"];
const everything = ["--threshold", "0"];

interface Detection {
  box: number[];
  score: number;
  class_name: string;
}

function predict(...args: string[]) {
  const options = { cwd: folder, encoding: "utf8" } as const;
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, "predict", ...args, ...weights], options);
  return { status, stdout, stderr };
}

/** As {@link predict}, with bytes on stdin, while this process goes on. */
async function predictInput(input: Uint8Array, ...args: string[]) {
  const child = spawn(process.execPath, [script, "predict", ...args, ...weights], { cwd: folder });
  const texts = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const)
    child[name].setEncoding("utf8").on("data", (text) => {
      texts[name] += text;
    });
  child.stdin.on("error", () => {}).end(input);
  const status = await new Promise((resolve) => child.once("close", resolve));
  return { status, ...texts };
}

beforeAll(async () => {
  const config = resolveModel("tiny", { numClasses: 2 });
  // Other weights may give one of the classes all of the best places.
  manualSeed(1);
  const tensors = scope(() => new RFDETRModel(config)).stateDict();
  const info = { classNames: ["cat", "dog"], config };
  saveWeights(join(folder, "tiny.safetensors"), tensors, info);
  const extra = { thresholds: '{"*":0.9,"cat":0}' };
  saveWeights(join(folder, "known.safetensors"), tensors, { ...info, extra });
  for (const name of ["photos/a", "photos/b", "torn", "many"]) mkdirSync(join(folder, name), { recursive: true });
  const picture = (width: number) => sharp({ create: { width, height: 60, channels: 3, background: "#c84" } });
  await picture(90)
    .jpeg()
    .toFile(join(folder, "photos", "a", "1.jpg"));
  await picture(70)
    .png()
    .toFile(join(folder, "photos", "b", "1.png"));
  const whole = readFileSync(join(folder, "photos", "a", "1.jpg"));
  writeFileSync(join(folder, "torn", "2.jpg"), whole);
  writeFileSync(join(folder, "torn", "1.jpg"), whole.subarray(0, whole.length / 2));
  writeFileSync(join(folder, "many", "0.jpg"), "");
  for (let i = 1; i <= 3000; i++) linkSync(join(folder, "torn", "2.jpg"), join(folder, "many", `${i}.jpg`));
});

describe("rfdetr predict", () => {
  it("shows boxes in short and writes pictures in the format and folders of the images, to a new folder each time", () => {
    const { status, stdout, stderr } = predict("photos/*/*", ...everything);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toMatch(/^photos\/a\/1\.jpg: (cat|dog) 0\.\d\d \[\d+ \d+ \d+ \d+\], .* and \d+ more$/m);
    expect(stdout).toMatch(/ objects in 2 images, written to predictions$/m);
    expect(readdirSync(join(folder, "predictions"), { recursive: true }).sort()).toEqual([
      ".predictions.sha256",
      "a",
      join("a", "1.jpg"),
      "b",
      join("b", "1.png"),
    ]);
    expect(predict("photos/a").stdout).toContain("written to predictions-2");
  });

  it("never writes over an image, or over anything else", () => {
    const photo = join(folder, "photos", "a", "1.jpg");
    const before = readFileSync(photo);
    const { status, stderr, stdout } = predict("photos/a", "--out", "photos/a");
    expect(stderr).toContain("Expected an output folder without the files to write but photos/a has 1.jpg");
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(readFileSync(photo)).toEqual(before);
  });

  it("names an image that cannot be read and goes on with the others", () => {
    const { status, stdout, stderr } = predict("torn", "--json");
    expect(status).toBe(3);
    const { images, errors } = JSON.parse(stdout);
    expect(images.map(({ file }: { file: string }) => file)).toEqual(["torn/2.jpg"]);
    expect(errors).toEqual([{ file: "torn/1.jpg", message: expect.stringContaining("torn/1.jpg") }]);
    expect(stderr).toContain("1 image of 2 could not be read");
    const none = predict("torn/1.jpg", "--json");
    expect(none.status).toBe(1);
    expect(JSON.parse(none.stdout)).toMatchObject({
      images: [],
      errors: [{ file: "torn/1.jpg" }],
      error: { code: "ERR_PICTURE_INPUT", message: expect.stringContaining("torn/1.jpg") },
    });
  });

  it("says of the only image that cannot be read nothing but why, and leaves no folder", () => {
    const { status, stdout, stderr } = predict("torn/1.jpg", "--out", "nothing", "--format", "csv");
    expect([status, stdout, stderr.trimEnd().split("\n").length]).toEqual([1, "", 1]);
    expect(stderr).toMatch(/^error: .*torn\/1\.jpg/);
    expect(existsSync(join(folder, "nothing"))).toBe(false);
  });

  it("reads images at addresses and on stdin, once each, beside files", async () => {
    const photo = readFileSync(join(folder, "photos", "a", "1.jpg"));
    let asked = 0;
    const server = createServer((request, response) => {
      asked++;
      if (request.url?.startsWith("/x.jpg")) response.end(photo);
      else response.writeHead(404).end();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const sources = ["-", `${origin}/x.jpg?key=secret`, "photos/b/1.png", `${origin}/gone.jpg`];
    const written = ["--out", "from-afar", "--format", "json", "--crops", "--max-detections", "1"];
    const { status, stdout, stderr } = await predictInput(photo, ...sources, ...everything, ...written);
    server.close();
    expect([status, asked]).toEqual([3, 2]);
    expect(stderr).toContain(`an image at ${origin}/gone.jpg but the server answers 404`);
    expect(stdout).toMatch(/^stdin: \w/m);
    expect(stdout).toMatch(new RegExp(`^${origin}/x\\.jpg: \\w`, "m"));
    const files = readdirSync(join(folder, "from-afar"), { recursive: true }).map(String);
    expect(files).toEqual(expect.arrayContaining(["1.png", "predictions.json", "stdin.jpg", "x.jpg"]));
    expect(files.filter((name) => /(stdin|x|1)-1\.jpg$/.test(name)).length).toBe(3);
    const { images } = JSON.parse(readFileSync(join(folder, "from-afar", "predictions.json"), "utf8"));
    expect(images.map(({ file }: { file: string }) => file)).toEqual(sources.slice(0, 3));
    expect(images[0].detections).toEqual(images[1].detections);
  });

  it("says what is wrong with the image on stdin", async () => {
    const none = await predictInput(new Uint8Array(), "-");
    expect([none.status, none.stdout]).toEqual([1, ""]);
    expect(none.stderr).toBe("error: Expected the bytes of an image on stdin but received none\n");
    const torn = await predictInput(Buffer.from("no image"), "-", "--json");
    expect(torn.stderr).toMatch(/^error: .*\bstdin\b/);
    expect(JSON.parse(torn.stdout).errors).toEqual([{ file: "-", message: expect.stringContaining("stdin") }]);
    // A Matroska video, which no picture can be made of by converting it.
    const film = await predictInput(Buffer.from("1a45dfa3a34286810142f7", "hex"), "-");
    expect(film.stderr).toMatch(
      /^error: .*stdin is a video: predict reads it from a file with the name of one, such as clip\.mp4\n$/,
    );
    const late = await predictInput(new Uint8Array(), "-", "--start", "1");
    expect(late.stderr).toContain(
      "Expected a video for --start but received an image on stdin: give the file of the video",
    );
  });

  it("has a threshold for each class", () => {
    const found = (...thresholds: string[]): Detection[] =>
      JSON.parse(predict("photos/a", "--json", ...thresholds.flatMap((value) => ["--threshold", value])).stdout)
        .images[0].detections;
    const cats = found("0").filter(({ class_name }) => class_name === "cat");
    expect(cats.length).toBeGreaterThan(0);
    expect(found("cat=0", "1")).toEqual(cats);
    expect(predict("photos/a", "--threshold", "cta=0.3").stderr).toContain("but received cta: did you mean cat?");
  });

  it("takes the thresholds that the training recorded, and says which", () => {
    const known = (...args: string[]) => {
      const all = [script, "predict", "photos/a", ...args, ...weights.with(1, join(folder, "known.safetensors"))];
      return spawnSync(process.execPath, all, { cwd: folder, encoding: "utf8" });
    };
    const best = known("--threshold", "best", "--json");
    expect(best.stderr).toMatch(
      /^note: threshold as recorded in training: 0\.90\nnote: no object has a score above 0\.9; the best is .*\n$/,
    );
    expect(JSON.parse(best.stdout).images[0]).toMatchObject({ detections: [], best_below: { threshold: 0.9 } });
    const byClass = known("--threshold", "best-by-class", "--json");
    expect(byClass.stderr).toBe("note: threshold as recorded in training: cat 0.00, all others 0.90\n");
    const found: Detection[] = JSON.parse(byClass.stdout).images[0].detections;
    expect(new Set(found.map(({ class_name }) => class_name))).toEqual(new Set(["cat"]));
    const none = predict("photos/a", "--threshold", "best", "--out", "no-folder");
    expect(none.stderr).toMatch(
      /^error: Expected weights with a recorded threshold for --threshold best but .*tiny\.safetensors has none: .*\n$/,
    );
    expect([none.status, none.stdout, existsSync(join(folder, "no-folder"))]).toEqual([2, "", false]);
  });

  it("says the best score where nothing is found, once for all images, and in the JSON of each", () => {
    const several = predict("photos/*/*", "--threshold", "0.9", "--no-draw").stdout;
    expect(several).toMatch(
      /\n0 objects in 2 images\nno object has a score above 0\.9 in any of 2 images; the best is 0\.\d+ \(\w+, in photos\/[ab]\/1\.\w+\).*\n$/,
    );
    const found = (...args: string[]) => JSON.parse(predict("photos/*/*", "--json", ...args).stdout).images;
    const best = found(...everything).map(({ detections }: { detections: Detection[] }) => detections[0]);
    for (const [i, image] of found("--threshold", "0.9", "--batch", "2").entries()) {
      const { score, class_name } = best[i];
      expect(image).toMatchObject({ detections: [], best_below: { class_name, threshold: 0.9 } });
      expect(Math.abs(image.best_below.score - score)).toBeLessThan(1e-5);
    }
    const cats = found("--threshold", "dog=0", "--threshold", "0.9", "--class", "cat", "--tiles", "60");
    for (const image of cats) expect(image.best_below).toMatchObject({ class_name: "cat", threshold: 0.9 });
    for (const image of found(...everything)) expect(image).not.toHaveProperty("best_below");
  });

  it.each([
    ["--format", "coco"],
    ["--format", "json"],
    ["--format", "csv"],
    ["--json"],
    ["--json", "--format", "yolo", "--out", "labels"],
  ])("says it on stderr too, where stdout has the results: %s %s", (...asked) => {
    const { status, stderr, stdout } = predict("photos/*/*", "--threshold", "0.9", "--no-draw", ...asked);
    expect(stderr).toMatch(
      /^note: no object has a score above 0\.9 in any of 2 images; the best is 0\.\d+ \(\w+, in photos\/[ab]\/1\.\w+\).*$/m,
    );
    expect([status, stdout.includes("no object")]).toEqual([0, false]);
  });

  it("finds the same in batches, with either resize", () => {
    const scores = (...args: string[]): number[] =>
      JSON.parse(predict("photos/*/*", "--json", ...everything, ...args).stdout).images.flatMap(
        ({ detections }: { detections: { score: number }[] }) => detections.map(({ score }) => score),
      );
    for (const resize of [[], ["--no-antialias"]]) {
      const alone = scores(...resize);
      const together = scores("--batch", "2", ...resize);
      expect(together.length).toBe(alone.length);
      together.forEach((score, i) => {
        expect(Math.abs(score - alone[i])).toBeLessThan(1e-5);
      });
    }
  });

  it("reports the classes and the number of objects that are asked for, also in tiles", () => {
    const found = (...args: string[]): Detection[] =>
      JSON.parse(predict("photos/a", "--json", ...everything, ...args).stdout).images[0].detections;
    const all = found();
    const cats = all.filter(({ class_name }) => class_name === "cat");
    expect(found("--class", "cat", "--max-detections", "3")).toEqual(cats.slice(0, 3));
    const tiled = found("--tiles", "60");
    expect(tiled.length).toBeGreaterThan(0);
    expect(tiled).not.toEqual(all);
    const { status, stderr } = predict("photos/a", "--class", "cta");
    expect(status).not.toBe(0);
    expect(stderr).toContain("Expected a class of the model (cat, dog) but received cta: did you mean cat?");
    expect(predict("photos/a", "--tiles", "0").status).toBe(2);
  });

  it("cuts the objects out, into a folder for each class, and replaces those of before alone", () => {
    const cut = () =>
      predict("photos/*/*", ...everything, "--max-detections", "2", "--crops", "--out", "cut", "--no-draw");
    expect(cut().status).toBe(0);
    const crops = readdirSync(join(folder, "cut", "crops"), { recursive: true }).map(String);
    const names = crops.filter((name) => name.endsWith(".jpg")).map((name) => name.slice(name.indexOf(sep) + 1));
    expect(names.sort()).toEqual([
      join("a", "1-1.jpg"),
      join("a", "1-2.jpg"),
      join("b", "1-1.jpg"),
      join("b", "1-2.jpg"),
    ]);
    expect(cut().status).toBe(0);
    writeFileSync(join(folder, "cut", "crops", "mine.txt"), "");
    expect(cut().stderr).toContain(`has ${join("crops", "mine.txt")}: choose another folder`);
  });

  it("prints or writes the results in the formats of other tools", () => {
    const csv = predict("photos/a", "--format", "csv", ...everything);
    expect(csv.stdout).toMatch(/^file,width,height,class_id,class_name,score,x1,y1,x2,y2\nphotos\/a\/1\.jpg,90,60,\d,/);
    const [first] = JSON.parse(predict("photos/a", "--format", "coco", ...everything).stdout);
    expect(first).toMatchObject({ image_id: 1, category_id: expect.any(Number), score: expect.any(Number) });
    expect(predict("photos/*/*", "--format", "yolo", "--no-draw", "--out", "yolo", ...everything).status).toBe(0);
    expect(readFileSync(join(folder, "yolo", "classes.txt"), "utf8")).toMatch(/^cat\ndog\n/);
    expect(readFileSync(join(folder, "yolo", "labels", "b", "1.txt"), "utf8")).toMatch(/^(\d( [\d.]+){4}\n)+$/);
    // The second call replaces what the first one wrote.
    for (let i = 0; i < 2; i++)
      expect(predict("photos/a", "--format", "json", "--json", "--out", "both").status).toBe(0);
    expect(readdirSync(join(folder, "both")).sort()).toEqual([".predictions.sha256", "1.jpg", "predictions.json"]);
  });

  it("gives COCO results the ids of an annotation file, and else says whose they are", () => {
    const images = ["b/1.png", "a/1.jpg"].map((file_name, i) => ({ id: 70 + i, file_name }));
    const truth = { images, categories: [{ id: 5, name: "dog" }], annotations: [] };
    writeFileSync(join(folder, "truth.json"), JSON.stringify(truth));
    const coco = [...everything, "--format", "coco"];
    const own = predict("photos/a", ...coco);
    expect(own.stderr).toMatch(/pycocotools goes\s+by ids: if those of your annotation file differ, give it with/);
    const { stdout, stderr } = predict("photos/*/*", ...coco, "--annotations", "truth.json");
    const ids = JSON.parse(stdout).map(({ image_id: image, category_id: category }: Record<string, number>) => [
      image,
      category,
    ]);
    expect([...new Set(ids.map(String))].sort()).toEqual(["70,5", "71,5"]);
    expect(stderr).toMatch(/detections of .*cat left\s+out of the results: no single category of truth\.json/);
    expect(stderr).not.toContain("pycocotools");
    const other = predict("many", ...coco, "--annotations", "truth.json");
    expect(other.stderr).toMatch(/Expected images of truth\.json but many\/.* is not among them/);
    expect(other.status).toBe(2);
  });

  it("keeps images of odd and equal names apart, whatever is written", () => {
    const odd = ["a b", "ä😀", "-dash", "x\ny", "e\x1b[31m", "[1]", "%41", "1", `${"l".repeat(240)}`].map(
      (name) => `${name}.jpg`,
    );
    for (const name of ["odd/1", "odd/2"]) mkdirSync(join(folder, name), { recursive: true });
    for (const name of [...odd.map((each) => `1/${each}`), "2/1.jpg", "2/1.png"])
      linkSync(join(folder, "photos", "a", "1.jpg"), join(folder, "odd", name));
    const all = odd.length + 2;
    const one = ["odd/**", ...everything, "--max-detections", "1"];
    const labels = predict(...one, "--format", "yolo", "--crops", "--out", "apart");
    expect(labels.status).toBe(0);
    const written = readdirSync(join(folder, "apart"), { recursive: true }).map(String);
    const count = (test: RegExp) => written.filter((name) => test.test(name)).length;
    expect(count(/^[12].*\.(jpg|png)$/s)).toBe(all);
    expect(count(/^labels.*\.txt$/s)).toBe(all);
    expect(count(/^crops.*\.jpg$/s)).toBe(all);
    expect(labels.stdout + labels.stderr).not.toContain("\x1b");
    const rows = (...args: string[]) => predict(...one, ...args).stdout;
    const ids = JSON.parse(rows("--format", "coco")).map(({ image_id }: { image_id: unknown }) => image_id);
    expect(new Set(ids).size).toBe(all);
    const files = JSON.parse(rows("--json")).images.map(({ file }: { file: string }) => file);
    expect(new Set(files).size).toBe(all);
    expect(files).toContain("odd/1/x\ny.jpg");
    expect(rows("--format", "csv").match(/,90,60,/g)).toHaveLength(all);
  });

  it.each([
    [["photos/a", "--format", "coco", "--json"], "Expected --out beside --json and --format coco"],
    [["photos/a", "--annotations", "x.json"], "Expected --format coco beside --annotations"],
    [["photos/a", "--format", "voc"], "Expected one of json, coco, yolo, csv for format"],
    [["photos/a", "--threshold", "cat=2"], "Expected number from 0 to 1 for threshold of cat but received 2"],
    [["photos/a", "--batch", "0"], "Expected positive integer for batch"],
  ])("answers %j with one sentence and exit code 2", (args, message) => {
    const { status, stderr } = predict(...args);
    expect(stderr).toContain(message);
    expect(status).toBe(2);
  });

  it("prints at Ctrl-C what there is", async () => {
    const child = spawn(process.execPath, [script, "predict", "many", "--json", ...weights], { cwd: folder });
    let stdout = "";
    child.stdout.on("data", (text) => {
      stdout += text;
    });
    // The empty file is named as soon as the first results are there.
    child.stderr.once("data", () => child.kill("SIGINT"));
    const code = await new Promise((resolve) => child.once("close", resolve));
    expect(code).toBe(130);
    const { images, errors } = JSON.parse(stdout);
    expect(images.length).toBeLessThan(3000);
    expect(errors).toEqual([{ file: "many/0.jpg", message: expect.any(String) }]);
    expect(existsSync(join(folder, "predictions-3"))).toBe(false);
  });

  it("leaves no folder behind at Ctrl-C before the first image", async () => {
    const args = [script, "predict", "photos/a", "--out", "early", ...weights];
    const child = spawn(process.execPath, args, { cwd: folder });
    const ended = once(child, "exit");
    while (!existsSync(join(folder, "early", ".predictions.lock"))) await setTimeout(2);
    child.kill("SIGINT");
    expect([await ended, existsSync(join(folder, "early"))]).toEqual([[null, "SIGINT"], false]);
  });
});

// The command as its users meet it: in a process of its own.
import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { folder, rfdetr, script } from "./command-script.js";

const data = join(folder, "data");
const common = ["--set", "multi_scale=off", "--batch", "2", "--seed", "0", "--plain"];
const quick = [...common, "--set", "max_steps=3"];

beforeAll(() => {
  rfdetr("data", "synth", data, "--images", "10", "--size", "96");
  expect(rfdetr("train", "--data", data, "--model", "tiny", "--out", "run", ...quick).status).toBe(0);
});

describe("rfdetr", () => {
  it("prints help without loading libtorch", () => {
    // Loading the addon would fail here, and help would with it.
    const { status, stdout } = spawnSync(process.execPath, [script, "train", "--help"], {
      encoding: "utf8",
      env: { ...process.env, RFDETR_ADDON: "/nowhere" },
    });
    expect(status).toBe(0);
    expect(stdout).toContain("--resume <run>");
  });

  it.each([["train"], ["predict"], ["val"], ["doctor"]])(
    "%s says that the engine cannot be loaded, and what to do",
    (command) => {
      const weights = join(folder, "run", "weights", "last.safetensors");
      const engine = join(folder, "engine.node");
      writeFileSync(engine, "not a library");
      const args = {
        train: ["--data", data, "--model", "tiny", "--out", "engineless"],
        predict: [join(data, "valid"), "--weights", weights],
        val: ["--data", data, "--weights", weights],
      }[command];
      const { status, stdout, stderr } = spawnSync(process.execPath, [script, command, ...(args ?? [])], {
        cwd: folder,
        encoding: "utf8",
        env: { ...process.env, RFDETR_ADDON: engine },
      });
      expect(stderr.split("\n")).toEqual([
        expect.stringMatching(/^error: Could not load the engine at .*engine\.node: /),
        "Run `npx rfdetr setup`",
        "",
      ]);
      expect([status, stdout]).toEqual([1, ""]);
    },
  );

  it("tries a training out: says what it would be, and leaves nothing", () => {
    const before = readdirSync(folder);
    const { status, stdout } = rfdetr("train", "--data", data, "--model", "tiny", "--dry-run", "--json", ...common);
    const dry = JSON.parse(stdout);
    expect(dry).toMatchObject({
      ok: true,
      model: "tiny",
      weights: null,
      download: null,
      dir: null,
      step: { size: 96, applied: true, fault: null },
    });
    const { step, least, most, epoch } = dry.seconds;
    expect(epoch).toBeCloseTo(step * dry.steps_per_epoch);
    expect(dry.timed).toMatchObject({ sizes: [96], loading: true });
    expect([dry.timed.steps > 1, least > 0, least <= step, step <= most]).toEqual([true, true, true, true]);
    expect(dry.load).toEqual({ text: expect.stringMatching(/ processes on \d+ cores?/), busy: expect.any(Boolean) });
    const { weights_bytes, moments_bytes, average_bytes, peak_bytes } = dry.memory;
    expect(peak_bytes).toBeGreaterThan(weights_bytes + moments_bytes + average_bytes);
    expect([status, readdirSync(folder)]).toEqual([0, before]);
  });

  it("tries a training out and refuses what the training would refuse", () => {
    const flags = ["--data", data, "--model", "tiny", "--dry-run", "--max-restarts", "2", ...common];
    const { status, stderr } = rfdetr("train", ...flags);
    expect([status, stderr]).toEqual([2, expect.stringContaining("Expected several processes with restarts")]);
  });

  it("tries a training out whose weights would be downloaded, without the download", () => {
    const flags = ["--data", data, "--model", "nano", "--resolution", "64", "--dry-run", ...common];
    const { status, stdout, stderr } = rfdetr("train", ...flags);
    expect(stderr.split("\n").slice(0, 4)).toEqual([
      "opening the data and building the model",
      "reading the first batch",
      "taking the first step",
      "measuring the second step",
    ]);
    expect(stdout).toMatch(
      /^weights +nano as published, trained on COCO: would be downloaded from http\S+ to \S+\.pth$/m,
    );
    expect(stdout).toMatch(/^step +on the first batch at 64 px with random weights: /m);
    expect(status).toBe(0);
  });

  it("prints its version", () => {
    expect(rfdetr("--version").stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it.each([
    [["trian"], "did you mean train?"],
    [["train", "--epohcs", "3"], "did you mean --epochs?"],
    [["predict", "x.jpg"], "--weights"],
    [["train", "--model", "nano"], "Expected a dataset folder but received none"],
    [["train", "--data", "d", "--batch", "-1"], "Expected positive integer for batch but received -1 of type number"],
    [["train", "--data", "d", "--lr", "fast"], 'Expected number of 0 or more for lr but received "fast"'],
    [["train", "--data", "d", "--set", "batch_sise=2"], "did you mean batch_size?"],
    [["train", "--resume", "run", "--batch", "3"], "A resumed run keeps its settings: leave out --batch"],
    [
      ["predict", "x.jpg", "--weights", "w", "--threshold", "2"],
      "Expected number from 0 to 1 for threshold but received 2",
    ],
    [["val", "--predictions", "p.json"], "--predictions and --annotations together"],
    [["val"], "Expected --weights and --data"],
    [
      ["train", "--data", "d", "--time-budget", "40"],
      "a time such as 8h, 1h30m, 90m or 40s for time-budget but received 40",
    ],
    [["val", "--weights", "w"], "Expected --weights and --data together but --data is missing"],
    [["bench", "nothing"], 'Expected one of train, infer, ops, eval, load for what but received "nothing"'],
    [["bench", "eval", "--images", "0"], "Expected positive integer for images but received 0 of type number"],
    [["bench", "train", "--against", "keras"], 'Expected one of python for against but received "keras"'],
    [
      ["bench", "train", "--against", "python", "--queries", "200"],
      "Expected nothing for queries beside --against but received 200",
    ],
    [
      ["bench", "infer", "--against", "python", "--python", "nowhere"],
      "Expected a Python with rfdetr 1.11.2 for python but nowhere has no rfdetr: run nowhere -m pip install torch==2.15.0 'rfdetr[train]==1.11.2'",
    ],
    [
      ["bench", "infer", "--against", "openvino", "--python", "nowhere"],
      "Expected a Python with rfdetr 1.11.2, openvino, onnx for python but nowhere has no rfdetr",
    ],
    [["bench", "train", "--against", "openvino"], 'Expected one of python for against but received "openvino"'],
    [["bench", "infer", "--against", "python", "--isa", "sse"], 'Expected one of avx2 for isa but received "sse"'],
    [["bench", "load", "--size", "12MP"], 'Expected width and height such as 4000x3000 for size but received "12MP"'],
    [["profile", "--steps", "0"], "Expected positive integer for steps but received 0 of type number"],
    [["convert", "run", "run/weights/best.safetensors"], "run/weights/best.safetensors exists: choose another name"],
    [["profile", "--model", "tiny", "--weights", "w"], "Expected --model or --weights but received both"],
    [
      ["profile", "--model", "tiny", "--out", "nowhere/trace.json"],
      "Expected a file in a folder that exists for out but nowhere is none",
    ],
    [["train", "--data", "DATA", "--model", "nanoo"], "did you mean nano?"],
    [["demo", "--steps", "0"], "Expected positive integer for steps but received 0 of type number"],
    [["demo", "--processes", "1000000"], "but received 1000000"],
    [["train", "--data", "DATA", "--model", "tiny", "--resolution", "100"], "divisible by 16"],
  ])("answers %j with one sentence and exit code 2", (args, message) => {
    const { status, stderr, stdout } = rfdetr(...args.map((arg) => (arg === "DATA" ? data : arg)));
    expect(stderr).toContain(message);
    expect(stderr).not.toContain("    at ");
    expect(stderr).not.toContain("synthesised");
    expect(stdout).toBe("");
    expect(status).toBe(2);
  });

  it.each([
    [["train", "--data", "nowhere", "--model", "tiny"], "nowhere does not exist"],
    [["train", "--data", "DATAs", "--model", "tiny"], "datas does not exist: did you mean DATA?"],
    [["demo", "--out", "DATA"], "is neither: nothing in it was changed\nChoose another folder with --out"],
    [
      ["train", "--data", "DATA", "--model", "tiny", "--out", "run"],
      "exists and is not empty\nContinue it with --resume run, or choose another folder with --out",
    ],
    [["train", "--data", "nowhere", "--model", "nano"], "Expected a dataset folder but nowhere does not exist"],
    [["train", "--data", "DATA", "--model", "nano"], "The weights nano could not be downloaded from"],
    [["train", "--resume", "nowhere"], "nowhere does not exist"],
    [["predict", "DATA/valid", "--weights", "nowhere.safetensors"], "The weights nowhere.safetensors do not exist"],
    [["predict", "nothing.jpg", "--weights", "run/weights/best.safetensors"], "nothing.jpg does not exist"],
    [
      ["train", "--data", "DATA", "--model", "demo", "--weights", "run/weights/best.safetensors", "--out", "other"],
      "of tiny do not fit demo",
    ],
  ])("answers %j with one sentence and exit code 1", (args, message) => {
    const { status, stderr } = rfdetr(...args.map((arg) => arg.replace("DATA", data)));
    expect(stderr).toContain(message.replace("DATA", data));
    expect(stderr).not.toContain("    at ");
    expect(status).toBe(1);
  });
});

it("takes the model from the weights, which may be a run", () => {
  const { status, stderr } = rfdetr("train", "--data", data, "--weights", "run", "--out", "started", ...quick);
  expect(stderr).toContain("tiny at ");
  expect(stderr).toContain("weights    run/weights/best.safetensors (the best of that run)\n");
  expect(status).toBe(0);
});

describe("an error", () => {
  it.each([
    [
      ["data", "check", "nowhere"],
      1,
      { code: "ERR_DATA", message: "Expected a dataset folder but nowhere does not exist" },
    ],
    [
      ["train"],
      2,
      { code: "ERR_CONFIG", message: "Expected a dataset folder but received none", hint: "Name it with --data" },
    ],
    [["val"], 2, { code: "ERR_USAGE", message: "Expected --weights and --data, or --predictions and --annotations" }],
    [
      ["data", "synth"],
      2,
      {
        code: "ERR_USAGE",
        message: "Expected <dir> for rfdetr data synth but received none",
        hint: "See rfdetr data synth --help",
      },
    ],
  ])("of %j is an object on stdout with --json, and a sentence on stderr", (args, code, error) => {
    const { status, stdout, stderr } = rfdetr(...args, "--json");
    expect(JSON.parse(stdout)).toEqual({ error });
    expect(stderr).toContain(`error: ${error.message}\n`);
    expect(status).toBe(code);
  });

  it("that nobody expected keeps its stack and is called a fault of the program", () => {
    const bug = 'import fs from "node:fs"; import { syncBuiltinESMExports } from "node:module";';
    const lines =
      'fs.existsSync = () => { throw Object.assign(new Error("ENOENT: no such file"), { code: "ENOENT" }); }; syncBuiltinESMExports();';
    const preload = `data:text/javascript,${encodeURIComponent(bug + lines)}`;
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ["--import", preload, script, "numerics", "run", "--json"],
      {
        encoding: "utf8",
      },
    );
    expect(stderr).toContain("error: This is a fault of rfdetr");
    expect(stderr).toMatch(/ENOENT: no such file\n {4}at /);
    expect(JSON.parse(stdout)).toEqual({ error: { code: "ENOENT", message: "ENOENT: no such file" } });
    expect(status).toBe(1);
  });

  it.each([
    [
      ["predict", "DATA/valid", "--weights", "run/weights/best.safetensors", "--out", "script"],
      "script cannot be written in .: ",
    ],
    [
      ["predict", "DATA/valid", "--weights", "DATA"],
      "found neither weights/best.safetensors nor weights/last.safetensors",
    ],
    [
      ["convert", "run", "script/x.safetensors"],
      "x.safetensors cannot be written in script: a part of the path is a file",
    ],
    [["convert", "run", "nowhere/x.pth"], "x.pth cannot be written in nowhere: there is no such folder"],
    [["convert", "run", "folder.pth"], "folder.pth cannot be written in .: it is a folder"],
    [["data", "check", "DATA", "--fix", "script/x"], "a part of the path is a file"],
    [["data", "synth", "script/x", "--images", "1"], "a part of the path is a file"],
    [["train", "--data", "DATA", "--model", "tiny", "--out", "script/x"], "or a part of it, is a file"],
    [
      ["val", "--predictions", "folder.pth", "--annotations", "folder.pth"],
      "folder.pth cannot be read: it is a folder",
    ],
  ])("of the system in %j is one sentence", (args, message) => {
    writeFileSync(join(folder, "script"), "");
    mkdirSync(join(folder, "folder.pth"), { recursive: true });
    const { status, stderr } = rfdetr(...args.map((arg) => arg.replace("DATA", data)));
    expect(stderr).toContain(message);
    expect(stderr).not.toContain("    at ");
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect(status).toBe(1);
  });
});

describe("rfdetr train", () => {
  it("names an image that does not decode, goes on with another in its place, and says so at the end", () => {
    const broken = join(folder, "broken");
    execFileSync("cp", ["-r", data, broken]);
    const victim = join(broken, "train", "train-00003.jpg");
    writeFileSync(victim, readFileSync(victim).subarray(0, 1000));
    const epoch = ["--epochs", "1", "--set", "max_steps=30"];
    const { status, stdout, stderr } = rfdetr(
      "train",
      "--data",
      broken,
      "--model",
      "tiny",
      "--out",
      "torn",
      ...common,
      ...epoch,
    );
    expect(stderr).toMatch(/warning: An image is left out\. .*train-00003\.jpg does not decode/);
    expect(stdout).toContain("1 image could not be read and took no part");
    expect(status).toBe(3);
    expect(JSON.parse(readFileSync(join(folder, "torn", "summary.json"), "utf8"))).toMatchObject({
      steps: 5,
      stop_reason: "finished",
    });
  });

  it.skipIf(process.getuid?.() === 0)(
    "says that the output folder is read-only (skipped for root, whom no mode stops)",
    () => {
      mkdirSync(join(folder, "locked"));
      chmodSync(join(folder, "locked"), 0o500);
      expect(rfdetr("train", "--data", data, "--model", "tiny", "--out", "locked/run", ...quick).stderr).toContain(
        "read-only",
      );
    },
  );
});

describe("rfdetr predict and val", () => {
  it("predict --json prints one object with the images in the order given", () => {
    const images = [join(data, "valid", "valid-00001.jpg"), join(data, "valid", "valid-00000.jpg")];
    const { status, stdout } = rfdetr(
      "predict",
      ...images,
      "--weights",
      "run/weights/best.safetensors",
      "--threshold",
      "0",
      "--json",
    );
    expect(status).toBe(0);
    const result = JSON.parse(stdout);
    expect(result.images.map(({ file }: { file: string }) => file)).toEqual(images);
    const [{ width, height, detections }] = result.images;
    expect([width, height]).toEqual([96, 96]);
    expect(Object.keys(detections[0])).toEqual(["box", "score", "class_id", "class_name"]);
  });

  it("predict draws pictures of the same size", () => {
    expect(
      rfdetr("predict", join(data, "valid"), "--weights", "run/weights/best.safetensors", "--out", "drawn", "--plain")
        .status,
    ).toBe(0);
    expect(existsSync(join(folder, "drawn", "valid-00000.jpg"))).toBe(true);
  });

  it("val --json prints the stock figures", () => {
    const { status, stdout } = rfdetr("val", "--weights", "run/weights/best.safetensors", "--data", data, "--json");
    expect(status).toBe(0);
    const result = JSON.parse(stdout);
    for (const name of [
      "images",
      "AP",
      "AP50",
      "AP75",
      "AP_small",
      "AP_medium",
      "AP_large",
      "AR1",
      "AR10",
      "AR100",
      "per_class",
      "precision",
    ])
      expect(result).toHaveProperty(name);
  });
});

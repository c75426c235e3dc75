import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { camelCase, snakeCase } from "../support/names.js";
import { idleSettings } from "./contradictions.js";
import { requestedPrecision } from "./precision.js";
import { refused } from "./refused-settings.js";
import { presetOf, readConfigFile, resolveSettings, settingsOfRun, toFile } from "./resolve.js";
import { settings } from "./settings.js";

const base = { datasetDir: "birds" };

describe("resolveSettings", () => {
  it("has the defaults of the Python package", () => {
    const config = resolveSettings(base);
    expect(config).toMatchObject({
      lr: 1e-4,
      lrEncoder: 1.5e-4,
      batchSize: 4,
      gradAccumSteps: 1,
      epochs: 100,
      emaDecay: 0.993,
      emaTau: 100,
      clipMaxNorm: 0.1,
      lrScheduler: "step",
      lrDrop: 100,
    });
  });

  it("takes names in either spelling, and the nested scheduler settings of the package", () => {
    expect(
      resolveSettings({ dataset_dir: "birds", grad_accum_steps: 4, lr_scheduler_kwargs: { lr_drop: 7 } }),
    ).toMatchObject({
      datasetDir: "birds",
      gradAccumSteps: 4,
      lrDrop: 7,
    });
    expect(resolveSettings({ ...base, gradAccumSteps: 4 }).gradAccumSteps).toBe(4);
  });

  it("divides losses by the boxes of the step where several processes train", () => {
    expect(resolveSettings(base).boxNormaliser).toBe("micro_batch");
    expect(resolveSettings({ ...base, processes: 2 }).boxNormaliser).toBe("step");
    expect(resolveSettings({ ...base, boxNormaliser: "step" })).toMatchObject({ processes: 1, boxNormaliser: "step" });
    expect(() => resolveSettings({ ...base, processes: 2, box_normaliser: "micro_batch" })).toThrow(
      'Expected box_normaliser "step" with 2 processes but received "micro_batch": leave it out',
    );
  });

  it("gives a variant its preset, under what the user says", () => {
    for (const model of ["demo", "seg-demo"])
      expect(resolveSettings({ ...base, model })).toMatchObject({ batchSize: 8, lr: 5e-4, maxSteps: 2000 });
    expect(resolveSettings({ ...base, model: "demo", lr: 1e-3 }).lr).toBe(1e-3);
  });

  it("starts from the weights that are published for the model, and from random ones where none are or none are wanted", () => {
    expect(resolveSettings(base).weights).toBe("coco");
    expect(resolveSettings({ ...base, model: "large", weights: "coco" }).weights).toBe("coco");
    expect(resolveSettings({ ...base, weights: "runs/nano" }).weights).toBe("runs/nano");
    for (const options of [{ weights: "none" }, { weights: null }, { model: "tiny" }, { model: "seg-demo" }])
      expect(resolveSettings({ ...base, ...options }).weights).toBeNull();
    expect(() => resolveSettings({ ...base, model: "xlarge", weights: "coco" })).toThrow(
      'Expected a model whose COCO weights are published for weights = "coco" but received xlarge',
    );
  });

  it.each([
    [{ batch_size: 1e9 }, "Expected at most 65536 for batch_size but received 1000000000 of type number"],
    [{ num_workers: 5000 }, "Expected at most 256 for num_workers but received 5000 of type number"],
    [{ batch_size: -1 }, "Expected positive integer for batch_size but received -1 of type number"],
    [{ lr: "fast" }, 'Expected number of 0 or more for lr but received "fast"'],
    [
      { lr_scheduler: "triangle" },
      'Expected one of "step", "cosine", "linear" for lr_scheduler but received "triangle"',
    ],
    [{ batch_sise: 2 }, "Expected a known setting but received batch_sise: did you mean batch_size?"],
    [{ learning_rate: 2 }, "did you mean lr?"],
    [{ grad_accumulation_steps: 2 }, "did you mean grad_accum_steps?"],
    [{ batchSise: 2 }, "Expected a known setting but received batchSise: did you mean batchSize?"],
    [JSON.parse('{"__proto__": {"epochs": 7}}'), "Expected a known setting but received __proto__"],
    [{ constructor: 2 }, "Expected a known setting but received constructor"],
    [{ lr_scheduler_kwargs: { lr_scheduler_kwargs: {} } }, "Expected a known setting but received lr_scheduler_kwargs"],
    [{ amp_dtype: "constructor" }, "for amp_dtype but received"],
    [{ precision: "fp16" }, 'for precision but received "fp16": did you mean 16-mixed?'],
    [{ precision: "BF16" }, "did you mean bf16-mixed?"],
    [{ precision: "half" }, "did you mean 16-mixed?"],
    [{ precision: "fp32" }, "did you mean 32-true?"],
    [{ precision: "bf16_mixed" }, "did you mean bf16-mixed?"],
    [{ use_ema: "True" }, "did you mean true?"],
    [{ seed: "None" }, "did you mean null?"],
    [{ lr_scheduler: "cosin" }, "did you mean cosine?"],
    [{ batch_size: 2, batchSize: 4 }, "Expected batch_size once but received batch_size and batchSize: leave one out"],
    [{ amp: false, precision: "bf16-mixed" }, 'received precision = "bf16-mixed" and amp = false, which is 32-true'],
    [{ amp_dtype: "fp16", precision: "bf16-mixed" }, "Expected one precision"],
    [{ amp: false, amp_dtype: "bf16" }, "Expected one precision"],
    [{ amp: "calibrate", precision: "16-mixed" }, "Expected one precision"],
    [
      { precision: "bf16-mixed", scaler: { init: 2 } },
      "The setting scaler is for 16-mixed, but the precision is bf16-mixed",
    ],
    [{ amp: false, scaler: { init: 2 } }, "The setting scaler is for 16-mixed, but the precision is 32-true"],
    [{ zebra: 2 }, "Expected a known setting but received zebra"],
    [
      { strategy: "ddp" },
      'The setting strategy = "ddp" is not supported: several processes always train data-parallel: use processes',
    ],
  ])("refuses %j in one sentence", (options, message) => {
    expect(() => resolveSettings({ ...base, ...options })).toThrow(message);
  });

  it("accepts the package's own default of a refused setting, because its saved configs carry them all", () => {
    for (const [name, { accepts }] of Object.entries(refused))
      for (const value of accepts) expect(() => resolveSettings({ ...base, [name]: value })).not.toThrow();
  });

  it("takes settings of precision that agree, and a scaler where 16-mixed may be chosen", () => {
    for (const agreeing of [
      { amp: false, precision: "32-true" },
      { amp: true, precision: "bf16-mixed" },
      { amp_dtype: "fp16", precision: "16-mixed", scaler: { init: 2 } },
      { amp: false, amp_dtype: null },
      { scaler: { init: 2 } },
    ])
      expect(() => resolveSettings({ ...base, ...agreeing })).not.toThrow();
  });

  it("refuses values that are nested without end, or absurdly deep", () => {
    const endless: unknown[] = [];
    endless.push(endless, endless);
    const deep = JSON.parse(`${"[".repeat(5000)}${"]".repeat(5000)}`);
    for (const notes of [endless, deep, Array.from({ length: 1e5 }, () => 0)])
      expect(() => resolveSettings({ ...base, notes })).toThrow(
        "Expected a value of at most 64 levels and 100000 parts for notes",
      );
    expect(resolveSettings({ ...base, notes: { a: [1, { b: null }] } }).notes).toEqual({ a: [1, { b: null }] });
  });

  it("refuses values that no check would see, such as those of a Map", () => {
    for (const augConfig of [new Map([["HorizontalFlip", {}]]), [{ HorizontalFlip: new Map([["p", 1]]) }]])
      expect(() => resolveSettings({ ...base, augConfig: augConfig as never })).toThrow(
        "Expected plain objects and lists for augConfig but received an instance of Map",
      );
    expect(() => resolveSettings(new Map() as never)).toThrow("for resolveSettings but received an instance of Map");
  });

  it("needs a dataset", () => {
    expect(() => resolveSettings({})).toThrow("Expected a dataset folder");
  });

  it("writes names back as they came from a file", () => {
    const config = resolveSettings(base);
    expect(resolveSettings(toFile(config))).toEqual(config);
    for (const name of Object.keys(settings)) expect(snakeCase(camelCase(name))).toBe(name);
  });
});

describe("settings that contradict each other", () => {
  it.each([
    [{ use_ema: false, early_stopping_use_ema: true }, "Expected use_ema = true for early_stopping_use_ema = true"],
    [{ backbone_lora: true, freeze_encoder: true }, "Expected backbone_lora or freeze_encoder but received both"],
    [{ class_weights: { bird: 0, cat: 1 } }, "Expected weights above 0 in class_weights but received 0 for bird"],
    [{ batch_size: "auto", grad_accum_steps: 4 }, "Expected batch_size or grad_accum_steps but received"],
    [{ num_classes: 3, class_names: ["bird", "cat"] }, "Expected as many class_names as num_classes says, 3, but"],
    [{ cls_loss_coef: 0, bbox_loss_coef: 0, giou_loss_coef: 0 }, "Expected a loss to train with but cls_loss_coef"],
  ])("are refused as %j, but do not keep a run that has begun from going on", (options, message) => {
    expect(() => resolveSettings({ ...base, ...options })).toThrow(message);
    expect(settingsOfRun({ ...base, ...options })).toMatchObject({ datasetDir: "birds" });
  });

  it("are none where each can hold", () => {
    for (const options of [
      { use_ema: false, eval_base_model: true },
      { use_ema: false, early_stopping: true },
      { early_stopping_use_ema: true, early_stopping: true },
      { batch_size: "auto" },
      { class_weights: 0 },
      { class_weights: { bird: 0.5 } },
      { num_classes: 1, class_names: ["bird"] },
      { model: "seg-nano", cls_loss_coef: 0, bbox_loss_coef: 0, giou_loss_coef: 0 },
    ])
      expect(() => resolveSettings({ ...base, ...options })).not.toThrow();
  });

  it("are warned of where one leaves the other without effect, unless the variant's preset says it", () => {
    const idle = (options: object) => idleSettings(resolveSettings({ ...base, ...options }), {});
    expect(idle({ early_stopping_patience: 3, early_stopping_min_delta: 0.1 })).toEqual([
      "The settings early_stopping_patience, early_stopping_min_delta have no effect, since early_stopping is false",
    ]);
    expect(idle({ use_ema: false, ema_tau: 5 })).toEqual(["The setting ema_tau has no effect, since use_ema is false"]);
    expect(idle({ min_factor: 0.1 })).toEqual(["The setting min_factor has no effect, since lr_scheduler is step"]);
    expect(idle({ lr_drop: 7, lr_scheduler: "cosine" })[0]).toMatch(/lr_drop has no effect, since lr_scheduler is cos/);
    expect(idle({ lr_encoder: 1e-3, freeze_encoder: true })[0]).toMatch(/since freeze_encoder is true/);
    expect(idle({ gradient_compression: "bfloat16" })[0]).toMatch(/since one process trains/);
    expect(idle({ auto_batch_target_effective: 32 })[0]).toMatch(/since batch_size is 4 and not auto/);
    expect(idle({ warmup_epochs: 3, skip_best_epochs: 5, epochs: 3 })).toEqual([
      "The learning rate rises to the end and is never what lr says, since warmup_epochs is 3 and epochs is 3",
      "There will be no best weights, since skip_best_epochs is 5 and epochs is 3",
    ]);
    expect(idleSettings(resolveSettings(base), {})).toEqual([]);
    expect(idle({ scaler: { init: 0.01 } })[0]).toMatch(/begins at 0.01, where small gradients become 0 in float16/);
    expect(idle({ scaler: { init: 2 ** 50 } })[0]).toMatch(/about 18 steps will be skipped until it has fallen/);
    expect(idle({ scaler: { init: 2 ** 32 } })).toEqual([]);
    const demo = { ...base, model: "demo", lr_scheduler: "step" };
    expect(idleSettings(resolveSettings(demo), presetOf("demo"))).toEqual([]);
  });
});

describe("config files", () => {
  it("name the file that is missing or broken", () => {
    const folder = mkdtempSync(join(tmpdir(), "config-"));
    expect(() => readConfigFile(join(folder, "none.json"))).toThrow("none.json cannot be read");
    writeFileSync(join(folder, "half.json"), '{"lr": 1');
    expect(() => readConfigFile(join(folder, "half.json"))).toThrow("half.json but it ends in the middle");
    writeFileSync(join(folder, "twice.yaml"), "lr: 1\nlr: 2\n");
    expect(() => readConfigFile(join(folder, "twice.yaml"))).toThrow('line 2: the key "lr" is there twice');
  });

  it("are JSON or YAML, with or without a byte order mark", () => {
    const folder = mkdtempSync(join(tmpdir(), "config-"));
    for (const [name, text] of [
      ["a.json", '\ufeff{"lr": 0.1}'],
      ["a.yaml", "\ufefflr: 0.1\n"],
      ["a.yml", "{lr: 0.1}"],
    ]) {
      writeFileSync(join(folder, name), text);
      expect(readConfigFile(join(folder, name))).toEqual({ lr: 0.1 });
    }
  });
});

describe("config files of the Python package", () => {
  it("load as they are", () => {
    const file = join(mkdtempSync(join(tmpdir(), "config-")), "training_config.json");
    const content = {
      train_config: {
        dataset_dir: "birds",
        lr: 2e-4,
        class_names: null,
        multi_scale: "per-batch",
        optimizer_kwargs: {},
      },
      model_config: {
        hidden_dim: 256,
        resolution: 512,
        positional_encoding_size: 32,
        model_name: null,
        pretrain_weights: "own.pth",
      },
      model_config_type: "RFDETRSmallConfig",
      class_names: null,
      num_classes: 0,
    };
    writeFileSync(file, JSON.stringify(content));
    expect(resolveSettings(readConfigFile(file))).toMatchObject({
      model: "small",
      lr: 2e-4,
      weights: "own.pth",
      resolution: 512,
    });
  });

  it("train in amp_dtype where it says one, whatever amp says", () => {
    const file = join(mkdtempSync(join(tmpdir(), "config-")), "training_config.json");
    const asked = (amp: boolean, dtype: string | null) => {
      writeFileSync(file, JSON.stringify({ train_config: { ...base, amp_dtype: dtype }, model_config: { amp } }));
      return requestedPrecision(resolveSettings(readConfigFile(file)));
    };
    expect(asked(false, "bf16")).toBe("bf16-mixed");
    expect(asked(true, null)).toBe("32-true");
    expect(asked(false, "auto")).toBe("32-true");
    expect(asked(true, "auto")).toBe("auto");
  });
});

describe("augmentation", () => {
  it("is a preset by name, or aug_config in full, as the package writes it", () => {
    expect(resolveSettings(base)).toMatchObject({ augment: "default", augConfig: null });
    const config = { HorizontalFlip: { p: 0.3 }, Rotate: { limit: 45, p: 0.5 } };
    expect(resolveSettings({ ...base, aug_config: config }).augConfig).toEqual(config);
    expect(resolveSettings({ ...base, aug_config: {} }).augConfig).toEqual({});
    expect(() => resolveSettings({ ...base, aug_config: { Rotote: {} } })).toThrow("did you mean Rotate?");
    expect(() => resolveSettings({ ...base, aug_config: config, augment: "aerial" })).toThrow(
      "Expected augment or aug_config",
    );
  });
});

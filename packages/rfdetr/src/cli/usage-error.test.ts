import { afterEach, describe, expect, it, vi } from "vitest";
import { main } from "./main.js";

afterEach(() => void vi.restoreAllMocks());

/** What a command line that is refused prints. */
async function refusal(line: string): Promise<string> {
  let stderr = "";
  vi.spyOn(process.stderr, "write").mockImplementation((text) => Boolean((stderr += text)));
  expect(await main(line.split(" "))).toBe(2);
  return stderr;
}

describe("a command line that the parser refuses", () => {
  it.each([
    [
      "train --max-steps 3",
      "Expected a known option of rfdetr train but received --max-steps: did you mean --set max_steps=…?",
    ],
    ["train --batch-size 3", "--batch-size: did you mean --batch?"],
    ["train --batch_size=3", "--batch_size: did you mean --batch?"],
    ["train --workers 3", "--workers: did you mean --set num_workers=…?"],
    ["train --num-workers 3", "--num-workers: did you mean --set num_workers=…?"],
    ["train --name birds", "--name: did you mean --out?"],
    ["train --project birds", "--project: did you mean --out?"],
    ["train --imgsz 640", "--imgsz: did you mean --resolution?"],
    [
      "train --resolution 96x",
      "Expected one side, or height and width such as 384x640, for resolution but received 96x",
    ],
    ["train --resolution 0x160", "384x640, for resolution but received 0x160"],
    ["export --weights w --resolution 0x160", "384x640, for resolution but received 0x160"],
    ["predict a.jpg --weights w --shape 0x160", "384x640, for shape but received 0x160"],
    ["train --lr0 0.1", "--lr0: did you mean --lr?"],
    ["train --epoch 3", "--epoch: did you mean --epochs?"],
    ["train --fp16", "--fp16: did you mean --precision 16-mixed?"],
    ["train --half", "--half: did you mean --precision 16-mixed?"],
    ["train --bf16", "--bf16: did you mean --precision bf16-mixed?"],
    ["train --patience 5", "--set early_stopping=true --set early_stopping_patience=…?"],
    ["train --pretrained", "--pretrained: did you mean --weights?"],
    ["train --warmup-epochs 3", "--warmup-epochs: did you mean --set warmup_epochs=…?"],
    ["train --wandb", "--wandb: events go to TensorBoard files and metrics.csv"],
    ["train --number-format fp9", "nvfp4, int8, none for number-format but received"],
    ["predict a --weights w --number-format fp9", "int8, none for number-format but received"],
    ["train --format csv", "received --format\n--format is an option of rfdetr predict; see rfdetr train --help\n"],
    ["export --number-format fp8", "--number-format is an option of rfdetr train, rfdetr val or rfdetr predict; see"],
    ["val --class bird", "received --class\n--class is an option of rfdetr predict; see rfdetr val --help\n"],
    ["train --start 3", "received --start\n--start is an option of rfdetr predict; see rfdetr train --help\n"],
    ["train --restart 3", "--restart: did you mean --max-restarts?"],
    ["train --size 640", "--size: did you mean --resolution?"],
    ["predict a --weights w --imgsz 640", "--imgsz: did you mean --shape?"],
    ["predict a --weights w --save-txt", "--save-txt: did you mean --format yolo?"],
    ["val --shape 640", "received --shape\nWeights are evaluated at the resolution that they were trained with"],
    ["train --overwrite", "received --overwrite\nA run never writes over another"],
    ["train --zebra", "but received --zebra\nSee rfdetr train --help\n"],
    ["train --amp false", "Mixed precision is the default; --no-amp trains in 32-true"],
    ["train birds/", "Expected only options for rfdetr train but received birds/: did you mean --data birds/?"],
    ["train --resume", "Expected a value for --resume <run> but received none\nSee rfdetr train --help\n"],
    ["val --imgsz 640", "Expected a known option of rfdetr val but received --imgsz\n"],
    ["train --resume --plain", "Expected a value for --resume <run> but received the option --plain"],
    ["predict --weights w --conf 0.3 a.jpg", "--conf: did you mean --threshold?"],
    [
      "predict --checkpoint runs/a ph",
      "Expected a known option of rfdetr predict but received --checkpoint: did you mean --weights?",
    ],
    ["predict --checkpoint=runs/a ph", "received --checkpoint: did you mean --weights?"],
    [
      "predict ph --threshold 0.3",
      "Expected --weights for rfdetr predict: a file of weights, the folder of a run, or the name of",
    ],
    [
      "predict --source ph --weights w",
      "received --source\nImages are given without an option, such as rfdetr predict",
    ],
    ["export --weights x --opset 11", "received --opset\nFiles are written in opset 17: it is the lowest that has all"],
    ["predict ph --iou 0.7", "received --iou\nThe model reports an object once"],
    ["train --source birds", "--source: did you mean --data?"],
    ["-v", "Expected a known option of rfdetr but received -v: did you mean --version?"],
    ["version", "Expected a command of rfdetr but received version: did you mean --version?"],
    ["data merge a b", "Expected a command of rfdetr data but received merge\nDatasets are not merged"],
    [
      "train data=birds epochs=3",
      "Expected only options for rfdetr train but received data=birds: did you mean --data birds --epochs 3?",
    ],
    [
      "train data=birds imgsz=640 warmup_epochs=1 batch_size=2",
      "--data birds --resolution 640 --set warmup_epochs=1 --batch 2?",
    ],
    ["train data=birds zebra=1", "Expected only options for rfdetr train but received data=birds\n"],
    ["val data=birds weights=runs/a", "did you mean --data birds --weights runs/a?"],
    ["predict", "the name of published weights such as nano\nSee rfdetr predict --help\n"],
    ["export", "Expected --weights for rfdetr export: a file of weights, the folder of a run, or the name of"],
    ["convert a.pth", "Expected <out> for rfdetr convert but received none"],
    ["convert a b c", "Expected 2 arguments for rfdetr convert but received c"],
    ["trian", "Expected a command of rfdetr but received trian: did you mean train?"],
    ["evaluate", "Expected a command of rfdetr but received evaluate: did you mean val?"],
    [
      "bench predict --model tiny",
      "Expected a command of rfdetr bench but received predict: did you mean infer?\nIts commands are train, infer, ops, eval, load. See rfdetr bench --help\n",
    ],
    ["bench --model tiny train", "Expected a known option of rfdetr bench"],
    ["trian --data x", "Expected a command of rfdetr but received trian: did you mean train?\nSee rfdetr --help\n"],
    [
      "train --data x --override head=fp99",
      'Expected one of "lower", "fp32", "widest", "keep", "bf16", "bf16x3", "policy" for head in override but received "fp99"',
    ],
    [
      'train --data x --set precision_operators={"gelu":"fp23"}',
      'for gelu in precision_operators but received "fp23": did you mean fp32?',
    ],
    ["data chekc", "Expected a command of rfdetr data but received chekc: did you mean check?"],
  ])("rfdetr %s", async (line, message) => {
    expect(await refusal(line)).toContain(message);
  });
});

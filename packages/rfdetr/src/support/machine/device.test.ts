import { engine } from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import { resolveDevice } from "./device.js";

describe("the device of one process among several on a machine", () => {
  const place = { localRank: 1, localSize: 2 };

  it("is the GPU of its number, or the CPU", () => {
    expect(resolveDevice("auto", place)).toBe(engine().cuda ? "cuda:1" : "cpu");
    expect(resolveDevice("cpu", place)).toBe("cpu");
  });

  it("is not one that is named: all would share it", () => {
    expect(() => resolveDevice("cuda:0", place)).toThrow(
      'Expected auto, cuda or cpu for device with 2 processes on a machine but received "cuda:0": each takes a GPU of its own',
    );
  });
});

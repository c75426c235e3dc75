import { describe, expect, it } from "vitest";
import { RFDETR } from "./detector.js";

/** A call as a caller without types makes it. */
type Untyped = (...args: unknown[]) => Promise<unknown>;
const create = RFDETR.create as unknown as Untyped;

describe("a detector in JavaScript", () => {
  it.each([
    [[], "for the model but received undefined"],
    [["constructor"], "for the model but received constructor"],
    [["__proto__"], "for the model but received __proto__"],
    [["Nano"], "did you mean nano?"],
    [["tiny", { weigths: "a.pth" }], "for RFDETR.create but received weigths: did you mean weights?"],
    [["tiny", "a.pth"], 'Expected an object of options for RFDETR.create but received "a.pth"'],
    [["tiny", { weights: 7 }], "Expected text for weights but received 7"],
    [["tiny", { precision: "fp16" }], "for precision but received"],
  ])("is not made with %j", async (args, message) => {
    await expect(create(...args)).rejects.toThrow(message);
  });

  it("says at once which option of a call is wrong", async () => {
    const detector = await RFDETR.create("tiny");
    const { train, predict, evaluate } = detector as unknown as Record<string, (...args: unknown[]) => unknown>;
    expect(() => train.call(detector)).toThrow("Expected an object of options for train but received undefined");
    expect(() => train.call(detector, { data: "d", epocs: 2 })).toThrow("did you mean epochs?");
    expect(() => train.call(detector, { data: "d", batchSise: 2 })).toThrow("did you mean batchSize?");
    expect(() => train.call(detector, { data: "d", signal: true })).toThrow("Expected an AbortSignal for signal");
    await expect(predict.call(detector, "a.jpg", { treshold: 0.1 })).rejects.toThrow("did you mean threshold?");
    await expect(evaluate.call(detector, {})).rejects.toThrow("the option data of evaluate but received none");
  });
});

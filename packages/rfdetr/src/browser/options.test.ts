// Options of the browser module as a page in JavaScript gives them, to the compiled code: its types need a browser.
import { expect, it } from "vitest";

const { RFDETR } = await import(new URL("../../dist/browser/detector.js", import.meta.url).href);
const { detect, predict } = RFDETR.prototype;

it("refuses names that are no options, before anything is fetched", async () => {
  await expect(RFDETR.load("a.onnx", { gatherFrom: "b.onnx" })).rejects.toThrow(
    "Expected one of the options backend, classNames, trying, runtimeFolder, threads, gatherForm, progress, signal, " +
      "runtime for RFDETR.load but received gatherFrom",
  );
  await expect(RFDETR.load("a.onnx", "wasm")).rejects.toThrow(
    'an object of options for RFDETR.load but received "wasm"',
  );
  for (const call of [detect, predict])
    await expect(call.call({ detect }, null, { treshold: 0.1 })).rejects.toThrow(
      "Expected one of the options threshold, antialias for predict but received treshold",
    );
});

it("refuses values that are no thresholds, as Node does", async () => {
  for (const threshold of [null, Number.NaN, "0.5", -1, { cat: 2 }])
    await expect(detect.call({}, null, { threshold })).rejects.toThrow(
      "Expected number from 0 to 1, or an object of those by class name, for threshold but received",
    );
  await expect(detect.call({}, null, { antialias: 1 })).rejects.toThrow("Expected true or false for antialias");
});

it.each([
  [{ backend: "cuda" }, 'Expected auto, webgpu or wasm for backend but received "cuda"'],
  [{ classNames: "cat" }, 'Expected list of texts for classNames but received "cat"'],
  [{ classNames: [1] }, "Expected list of texts for classNames but received [1]"],
  [{ trying: true }, "Expected function for trying but received true"],
  [{ progress: {} }, "Expected function for progress but received {}"],
  [{ runtimeFolder: 5 }, "Expected address for runtimeFolder but received 5"],
  [{ threads: 0.5 }, "Expected positive integer for threads but received 0.5"],
  [{ gatherForm: [1] }, "Expected address or bytes for gatherForm but received [1]"],
  [{ signal: {} }, "Expected AbortSignal for signal but received {}"],
  [{ runtime: null }, "Expected object for runtime but received null"],
])("refuses the option %j before anything is fetched", async (options, message) => {
  await expect(RFDETR.load("a.onnx", options)).rejects.toThrow(message);
});

it("refuses a file that is no address and no bytes", async () => {
  await expect(RFDETR.load(undefined)).rejects.toThrow("Expected address or bytes for the file but received undefined");
});

it("refuses thresholds of classes that the model does not have", async () => {
  const classNames = ["cat", "dog"];
  const threshold = { "*": 0.4, "class 1": 0.3, dgo: 0.2 };
  await expect(detect.call({ classNames }, null, { threshold })).rejects.toThrow(
    "Expected a class of the model (cat, dog) but received dgo",
  );
});

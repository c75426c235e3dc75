// Options of the browser module as a page in JavaScript gives them, to the compiled code: its types need a browser.
import { expect, it } from "vitest";

const { RFDETR } = await import(new URL("../../dist/browser/detector.js", import.meta.url).href);
const { detect, predict } = RFDETR.prototype;

it("refuses names that are no options, before anything is fetched", async () => {
  await expect(RFDETR.load("a.onnx", { gatherFrom: "b.onnx" })).rejects.toThrow(
    "Expected one of the options backend, classNames, trying, runtimeFolder, threads, gatherForm, progress, signal, " +
      "runtime for RFDETR.load but received gatherFrom",
  );
  await expect(RFDETR.load("a.onnx", "wasm")).rejects.toThrow("an object of options for RFDETR.load but received wasm");
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

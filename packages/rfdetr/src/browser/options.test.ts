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

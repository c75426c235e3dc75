import { describe, expect, it } from "vitest";
import { isBundled, workerPath, workerScript } from "./worker-path.js";

describe("the script of a worker", () => {
  it("is found in the build of the module that starts it", () => {
    const module = new URL("../../run/thread/training-thread.ts", import.meta.url).href;
    expect(workerScript(module, "worker.js")).toMatch(/dist\/run\/thread\/worker\.js$/);
    expect(workerPath(module, "nowhere.js")).toBe(null);
    expect(() => workerScript(module, "nowhere.js")).toThrow("nowhere.js of a thread is missing: run npm run build");
  });

  it("is not there in a bundle, in either form of modules", () => {
    expect(isBundled("file:///app/dist/out.mjs")).toBe(true);
    expect(isBundled(undefined)).toBe(true);
    expect(isBundled("file:///app/node_modules/rfdetr/dist/support/machine/worker-path.js")).toBe(false);
    expect(workerPath(undefined as unknown as string, "worker.js")).toBe(null);
  });
});

import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const source = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  resolve: {
    alias: [
      { find: /^@rfdetr\/(torch|amp)$/, replacement: source("packages/$1/src/index.ts") },
      { find: /^@rfdetr\/torch\/(\w+)$/, replacement: source("packages/torch/src/$1/index.ts") },
      { find: /^@rfdetr\/amp\/(\w+)$/, replacement: source("packages/amp/src/$1.ts") },
      { find: /^rfdetr$/, replacement: source("packages/rfdetr/src/index.ts") },
      { find: /^rfdetr\/(\w+)$/, replacement: source("packages/rfdetr/src/$1/index.ts") },
    ],
  },
  test: {
    include: [
      "packages/*/src/**/*.test.ts",
      "packages/*/test/**/*.test.ts",
      "packages/*/setup/**/*.test.ts",
      "tools/**/*.test.ts",
    ],
    // Two files side by side: much of the time goes into what has one thread, such as starting commands and loading
    // modules. libtorch uses every core itself; more files would only fight over them, and over memory.
    maxWorkers: 2,
    pool: "forks",
    // Threads that spin while they wait make tests twenty times slower beside another job. onnxruntime reports to its
    // maker unless it is told not to. No test downloads weights, or depends on those that the machine has.
    env: {
      GOMP_SPINCOUNT: "1000",
      ORT_DISABLE_TELEMETRY: "1",
      RFDETR_WEIGHTS_URL: "http://127.0.0.1:9",
      RF_HOME: join(tmpdir(), "rfdetr-no-weights"),
    },
    globalSetup: "tools/temporary-folder.mjs",
    // A guard against hanging, not a measure: a bfloat16 step of Nano takes minutes on a busy CPU without units for it.
    testTimeout: 900_000,
    hookTimeout: 900_000,
  },
});

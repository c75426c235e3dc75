import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const source = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  resolve: {
    alias: {
      "@rfdetr/torch": source("packages/torch/src/index.ts"),
      "@rfdetr/amp": source("packages/amp/src/index.ts"),
    },
  },
  test: {
    include: ["packages/*/src/**/*.test.ts", "packages/*/test/**/*.test.ts", "packages/*/setup/**/*.test.ts", "tools/**/*.test.ts"],
    // libtorch uses every core itself; test files side by side would only fight over them.
    fileParallelism: false,
    pool: "forks",
    // Threads that spin while they wait make tests twenty times slower beside another job.
    env: { GOMP_SPINCOUNT: "1000" },
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});

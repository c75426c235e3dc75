import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { readDetails } from "../../eval/details/details-file.js";
import { exampleDetails } from "../../testing/runs/example-details.js";
import { EvaluationFolder } from "./evaluation-folder.js";

const folder = mkdtempSync(join(tmpdir(), "evaluation-folder-"));
afterAll(() => rmSync(folder, { recursive: true }));

describe("the folder of an evaluation", () => {
  it("takes no second one that began before the first was written", async () => {
    const path = join(folder, "both");
    const [first, second] = [EvaluationFolder.open(path), EvaluationFolder.open(path)];
    const details = exampleDetails();
    await first.write(details, true);
    await expect(second.write({ ...details, AP: 0 }, true)).rejects.toThrow(
      `${path} has evaluation.json and pictures: choose another folder`,
    );
    expect(readDetails(join(path, "evaluation.json"))).toEqual(details);
  });

  it.each([
    [
      "while it draws",
      `Object.defineProperty(details, "images_shown", { get: () => process.kill(process.pid, "SIGKILL") });`,
    ],
    [
      "while it moves what is whole",
      `const { renameSync } = fs;
       fs.renameSync = (from, to) => {
         if (to === join(path, "evaluation.json")) process.kill(process.pid, "SIGKILL");
         renameSync(from, to);
       };
       syncBuiltinESMExports();`,
    ],
  ])("takes an evaluation where an earlier one was killed %s, and keeps what else is there", async (_, kill) => {
    const path = mkdtempSync(join(folder, "killed-"));
    writeFileSync(join(path, "mine.txt"), "");
    const details = exampleDetails();
    const compiled = fileURLToPath(new URL("../../../dist/cli/model/evaluation-folder.js", import.meta.url));
    const script = `import fs from "node:fs";
      import { syncBuiltinESMExports } from "node:module";
      import { join } from "node:path";
      import { EvaluationFolder } from ${JSON.stringify(compiled)};
      const path = ${JSON.stringify(path)};
      const details = ${JSON.stringify(details)};
      ${kill}
      await EvaluationFolder.open(path).write(details, true);`;
    const { signal } = spawnSync(process.execPath, ["--input-type=module", "-e", script]);
    expect([signal, readdirSync(path).includes("evaluation.json")]).toEqual(["SIGKILL", false]);
    const next = EvaluationFolder.open(path);
    await next.write(details, true);
    next.close();
    expect(readdirSync(path)).toEqual(["evaluation.json", "mine.txt", "pictures"]);
  });

  it("never takes pictures of others for its own", () => {
    const path = join(folder, "others");
    mkdirSync(join(path, "pictures"), { recursive: true });
    expect(() => EvaluationFolder.open(path)).toThrow(`${path} has pictures: choose another folder`);
    expect(readdirSync(path)).toEqual(["pictures"]);
  });
});

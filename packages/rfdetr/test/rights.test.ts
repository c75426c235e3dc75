// What is said of folders that others may not look into.
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RunFolders } from "../src/dash/runs/run-folders.js";
import { findLayout } from "../src/data/formats/layout.js";
import { imageFiles } from "../src/predict/inputs/inputs.js";
import { readRun } from "../src/report/records/run-record.js";
import { requestControl } from "../src/run/control/control.js";
import { RunDirectory } from "../src/run/files/run-directory.js";
import { absence } from "../src/support/files/near-path.js";
import { resolveWeights } from "../src/weights/published/published-weights.js";

const root = mkdtempSync(join(tmpdir(), "rights-"));
const [run, live] = [join(root, "run"), join(root, "live")];
const isRoot = process.getuid?.() === 0;
const denied = "cannot be read: permission is denied";

beforeAll(() => {
  // Any user may look at what lies in these.
  if (isRoot) chmodSync(dirname(root), 0o711);
  chmodSync(root, 0o755);
  mkdirSync(join(run, "weights"), { recursive: true });
  writeFileSync(join(run, "config.json"), "{}");
  writeFileSync(join(run, "weights", "best.safetensors"), "");
  chmodSync(run, 0);
});
afterAll(() => rmSync(root, { recursive: true }));

/** No mode stops root. */
async function asNobody(act: () => Promise<void> | void): Promise<void> {
  if (isRoot) process.seteuid?.(65534);
  try {
    await act();
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
}

describe.skipIf(process.getuid === undefined)("a folder without rights", () => {
  it.each<[string, (path: string) => unknown]>([
    ["a run to read", readRun],
    ["a run to continue", RunDirectory.at],
    ["runs", (path) => new RunFolders(path)],
    ["a dataset", (path) => findLayout(join(path, "ds"))],
    ["pictures", (path) => imageFiles([join(path, "x.jpg")])],
    ["a run with a name in it", (path) => readRun(join(path, "deeper"))],
  ])("is not said to be empty where %s is sought there", (_, act) =>
    asNobody(() => expect(() => act(run)).toThrow(denied)),
  );

  it.runIf(isRoot)("is not said to take no commands where it is the run of another user", async () => {
    const directory = RunDirectory.create(live, "live");
    const { path } = directory;
    const control = join(path, "control");
    writeFileSync(join(path, "config.json"), "{}");
    mkdirSync(control, { mode: 0o700 });
    chownSync(control, 1, 1);
    await asNobody(() =>
      expect(requestControl(path, { command: "stop" })).rejects.toThrow("is that of another user, who alone can"),
    );
    directory.release();
  });
});

describe("a path that seems not to exist", () => {
  it("does not, or cannot be looked at", () => {
    symlinkSync("loop", join(root, "loop"));
    expect(absence(join(root, "zebra"))).toBe("does not exist");
    expect(absence(join(root, "loop", "x"))).toBe("cannot be read: its links lead in a circle");
  });

  it("may be that of weights", async () => {
    mkdirSync(join(root, "linked"));
    symlinkSync("weights", join(root, "linked", "weights"));
    for (const weights of ["linked", join("linked", "weights", "best.safetensors")])
      await expect(resolveWeights(join(root, weights))).rejects.toThrow("cannot be read: its links lead in a circle");
  });
});

import { describe, expect, test } from "vitest";
import { formatPython } from "./python-format.mjs";

/** A machine where `python3 -m ruff` is of one version and finds `unformatted` files. */
const machine = (version: string, unformatted: string[]) => (program: string, args: string[]) => {
  if (program !== "python3") return { status: null, output: "" };
  if (args.includes("--version")) return { status: 0, output: `ruff ${version}` };
  const found = args.includes("--check") ? args.filter((arg) => unformatted.includes(arg)) : [];
  return { status: found.length > 0 ? 1 : 0, output: found.map((file) => `Would reformat: ${file}`).join("\n") };
};

describe("python-format", () => {
  test("names the files that are not formatted", () => {
    expect(
      formatPython(["a.py", "b.py"], { write: false, version: "1.2.3", execute: machine("1.2.3", ["b.py"]) }),
    ).toEqual({
      ok: false,
      said: "Would reformat: b.py",
    });
    expect(formatPython(["a.py"], { write: false, version: "1.2.3", execute: machine("1.2.3", ["b.py"]) }).ok).toBe(
      true,
    );
  });

  test("another version is as good as none: it formats differently", () => {
    const { ok, said } = formatPython(["a.py"], {
      write: false,
      version: "1.2.3",
      execute: machine("1.2.4", ["a.py"]),
    });
    expect(ok).toBe(true);
    expect(said).toContain("skipped, ruff 1.2.3 is not installed");
  });
});

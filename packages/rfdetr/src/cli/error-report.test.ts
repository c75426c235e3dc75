import { engine, zeros } from "@rfdetr/torch";
import { CommanderError } from "commander";
import { afterEach, describe, expect, it, vi } from "vitest";
import { ConfigError, CustomCodeError, DataError, InternalError, RunDirectoryError } from "../support/errors.js";
import { resolveDevice } from "../support/machine/device.js";
import { Console } from "./console/console.js";
import { reportError } from "./error-report.js";

/** What an error prints and the exit code. */
function reported(error: unknown, json = false) {
  let [stderr, stdout] = ["", ""];
  vi.spyOn(process.stderr, "write").mockImplementation((text) => Boolean((stderr += text)));
  vi.spyOn(process.stdout, "write").mockImplementation((text) => Boolean((stdout += text)));
  const code = reportError(error, new Console({ plain: true, json }));
  return { code, stderr, stdout };
}

const thrown = (body: () => unknown): unknown => {
  try {
    return body();
  } catch (error) {
    return error;
  }
};
afterEach(() => void vi.restoreAllMocks());

describe("reportError", () => {
  it("prints a sentence, and a hint on a line of its own", () => {
    expect(reported(new DataError("a.jpg is broken"))).toEqual({
      code: 1,
      stderr: "error: a.jpg is broken\n",
      stdout: "",
    });
    expect(reported(new DataError("a.jpg is broken", { hint: "Remove it" })).stderr).toBe(
      "error: a.jpg is broken\nRemove it\n",
    );
  });

  it("says in a sentence that memory ran out, wherever a tensor was made", () => {
    const error = thrown(() => zeros([1e9, 1e9]));
    const { code, stderr } = reported(error);
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(
        /^error: Expected enough memory to go on, but it ran out: .*not enough memory.*\nGive the /,
      ),
    ]);
  });

  it("says in a sentence what the operating system refuses, wherever it was asked", () => {
    const error = (code: string, more: object) => Object.assign(new Error(`${code}: raw`), { code, ...more });
    for (const [refused, sentence] of [
      [
        error("EMFILE", { path: "a.jpg" }),
        "a.jpg cannot be used: too many files are open: raise the limit with ulimit -n",
      ],
      [error("ENOSPC", { syscall: "write" }), "A file cannot be used: the disk is full"],
      [error("ENOENT", { syscall: "uv_cwd" }), "The current folder does not exist any more: change to another"],
    ] as const)
      expect(reported(refused)).toEqual({ code: 1, stderr: `error: ${sentence}\n`, stdout: "" });
  });

  it("says that memory ran out where a library cannot be loaded for lack of it", () => {
    const error = new Error("Could not load sharp\nERR_DLOPEN_FAILED: libvips: failed to map segment\nReinstall sharp");
    expect(reported(error).stderr).toMatch(
      /^error: Expected enough memory to go on, but it ran out: ERR_DLOPEN_FAILED: libvips: failed to map segment\nGive/,
    );
  });

  it("ends with 2 where an option, an argument or a setting itself is wrong, and with 1 for what they name", () => {
    expect(reported(new ConfigError("x")).code).toBe(2);
    expect(reported(new RunDirectoryError("x")).code).toBe(1);
    expect(reported(new CustomCodeError("x")).code).toBe(1);
  });

  it("shows options in place of the settings that a hint names", () => {
    const error = new RunDirectoryError("x", {
      hint: "Continue it with `resume` runs/a or `weights` a.safetensors, or choose another `output_dir`; `keep` is none",
    });
    expect(reported(error).stderr).toBe(
      "error: x\nContinue it with --resume runs/a or --weights a.safetensors, or choose another --out; `keep` is none\n",
    );
  });

  it.skipIf(engine().cuda)("says how the machine gets an engine for GPUs", () => {
    expect(reported(thrown(() => resolveDevice("cuda")))).toEqual({
      code: 2,
      stderr:
        "error: Device cuda is not available: this libtorch finds no GPU\n" +
        "Run `npx rfdetr setup --cuda`, which installs a libtorch for NVIDIA GPUs, or choose --device cpu\n",
      stdout: "",
    });
  });

  it("shows stack and causes of a fault of the program", () => {
    const { code, stderr } = reported(new InternalError("it broke", { cause: new TypeError("below") }));
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: This is a fault of rfdetr/);
    expect(stderr).toMatch(/it broke\n +at /);
    expect(stderr).toContain("TypeError: below\n");
  });

  it("prints an object on stdout as well with --json", () => {
    expect(JSON.parse(reported(new DataError("x", { hint: "y" }), true).stdout)).toEqual({
      error: { code: "ERR_DATA", message: "x", hint: "y" },
    });
    expect(JSON.parse(reported(new TypeError("x"), true).stdout)).toEqual({
      error: { code: "ERR_INTERNAL", message: "x" },
    });
  });

  it("tells of a missing command with --json, where help is printed", () => {
    const help = new CommanderError(1, "commander.help", "(outputHelp)");
    expect(reported(help)).toEqual({ code: 2, stderr: "", stdout: "" });
    const { code, stdout } = reported(help, true);
    expect([code, JSON.parse(stdout).error.code]).toEqual([2, "ERR_USAGE"]);
    expect(reported(new CommanderError(0, "commander.version", "0.1.0"), true)).toMatchObject({ code: 0, stdout: "" });
  });

  it("lets no control character of a file's name reach the terminal", () => {
    expect(reported(new DataError("a\x1b[2J\u009b.jpg is broken")).stderr).toBe(
      "error: a\\x1b[2J\\x9b.jpg is broken\n",
    );
  });
});

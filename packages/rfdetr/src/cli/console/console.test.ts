import { Writable } from "node:stream";
import { stripVTControlCharacters } from "node:util";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { testTerminal } from "../../testing/pages/terminal.js";
import { Console } from "./console.js";

/** A stream that keeps what is written to it. */
function sink(about: { isTTY?: boolean; columns?: number } = {}) {
  const chunks: string[] = [];
  const stream = new Writable({
    write(chunk, _encoding, done) {
      chunks.push(String(chunk));
      done();
    },
  });
  return Object.assign(stream, about, { text: () => chunks.join("") });
}
const terminal = (columns = 80) => sink({ isTTY: true, columns });
beforeEach(() => {
  for (const name of ["CI", "NO_COLOR", "FORCE_COLOR"]) vi.stubEnv(name, "");
  vi.stubEnv("TERM", "xterm-256color");
  return () => vi.unstubAllEnvs();
});

describe("Console", () => {
  it("writes results to stdout and all else to stderr", () => {
    const [out, err] = [sink(), sink()];
    const console = new Console({}, { out, err });
    console.result("AP 0.5");
    console.progress("reading");
    console.fact("seed 3");
    console.warning("slow");
    console.error("broken");
    expect(out.text()).toBe("AP 0.5\n");
    expect(err.text()).toBe("reading\nnote: seed 3\nwarning: slow\nerror: broken\n");
  });

  it("writes only the data to stdout with --json", () => {
    const [out, err] = [sink(), sink()];
    const console = new Console({ json: true }, { out, err });
    console.result("AP 0.5");
    const name = "\x1b[2J\x9b\x7f\u202e";
    console.data({ AP: 0.5, name });
    expect(JSON.parse(out.text())).toEqual({ AP: 0.5, name });
    expect(out.text()).toMatch(/^[\x20-\x7e]*\n$/);
  });

  it("tells a log of each stage of what takes long, and counts in a terminal", () => {
    const [log, screen, json] = [sink(), terminal(), sink()];
    for (const console of [
      new Console({}, { out: sink(), err: log }),
      new Console({}, { out: sink(), err: screen }),
      new Console({ json: true }, { out: sink(), err: json }),
    ])
      for (const [text, stage] of [["image 1/2", "image"], ["image 2/2", "image"], ["tables"]])
        console.doing(text, stage);
    expect(log.text()).toBe("image 1/2\ntables\n");
    expect(screen.text()).toContain("image 2/2");
    expect(json.text()).toBe("");
  });

  it("colours each stream where it is a terminal", () => {
    const [out, err] = [sink(), terminal()];
    const console = new Console({}, { out, err });
    console.result(console.bold("AP"));
    console.progress(console.bold("AP"));
    expect(out.text()).toBe("AP\n");
    expect(err.text()).toBe("\x1b[1mAP\x1b[22m\n");
  });

  it.each([
    ["--plain", {}, { plain: true }],
    ["NO_COLOR", { NO_COLOR: "1" }, {}],
    ["TERM=dumb", { TERM: "dumb" }, {}],
    ["CI=true", { CI: "true" }, {}],
  ])("does without colours for %s", (_, environment, options) => {
    for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
    const err = terminal();
    const console = new Console(options, { err });
    console.warning("slow");
    expect(err.text()).toBe("warning: slow\n");
  });

  it("colours what is piped where FORCE_COLOR asks for it", () => {
    vi.stubEnv("FORCE_COLOR", "1");
    const err = sink();
    new Console({}, { err }).warning("slow");
    expect(err.text()).toBe("\x1b[33mwarning:\x1b[39m slow\n");
  });

  it("shows control characters and marks of direction of names as escapes", () => {
    const [out, err] = [terminal(), terminal()];
    const console = new Console({}, { out, err });
    const name = "a\x1b]0;title\x07\x9b2J\x7f\r\u202eb";
    const shown = "a\\x1b]0;title\\x07\\x9b2J\\x7f\\x0d\\u202eb";
    console.result(`${name}\nü 猫`);
    console.warning(name);
    console.live(name);
    expect(out.text()).toBe(`${shown}\nü 猫\n`);
    expect(stripVTControlCharacters(err.text())).toBe(`warning: ${shown}\n ${shown}\r`);
  });

  it("keeps the live line below all else, and shorter than the terminal is wide", async () => {
    const terminal = testTerminal(10);
    const console = new Console({}, { out: terminal, err: terminal });
    console.live("0123456789");
    console.result("found");
    console.progress("reading");
    expect(await terminal.rows()).toEqual(["found", "reading", " 0123456…"]);
    console.live("猫猫猫猫猫猫");
    expect((await terminal.rows()).at(-1)).toBe(" 猫猫猫…");
    console.end();
    expect(await terminal.rows()).toEqual(["found", "reading"]);
  });

  it("fits the live line to a terminal that changes its size, and follows it no longer than that", async () => {
    const terminal = testTerminal(40);
    const console = new Console({}, { out: terminal, err: terminal });
    console.live((columns) => "=".repeat(columns));
    await terminal.resize(20);
    expect(await terminal.rows()).toEqual([` ${"=".repeat(18)}`]);
    console.end();
    await terminal.resize(30);
    expect(await terminal.rows()).toEqual([]);
    expect(terminal.listenerCount("resize")).toBe(0);
  });

  it("puts labels into a column, and what is too long below itself", async () => {
    const terminal = testTerminal(30);
    const console = new Console({}, { out: terminal, err: terminal });
    console.fields([
      ["weights", "a path/that/is/longer/than/the/terminal"],
      ["precision", `${console.bold("bf16-mixed")}: this CPU multiplies bfloat16`, "and a note"],
    ]);
    expect(await terminal.rows()).toEqual([
      "weights    a",
      "           path/that/is/longer",
      "/than/the/terminal",
      "precision  bf16-mixed: this",
      "           CPU multiplies",
      "           bfloat16",
      "           and a note",
    ]);
    const pipe = sink();
    new Console({}, { out: pipe }).fields([["run", "a b"]]);
    expect(pipe.text()).toBe("run        a b\n");
  });

  it("breaks notes between words where there is a terminal", () => {
    const [narrow, pipe] = [terminal(20), sink()];
    for (const err of [narrow, pipe]) new Console({ plain: false }, { err }).fact("one two three four five six");
    expect(stripVTControlCharacters(narrow.text())).toBe("note: one two three\n  four five six\n");
    expect(pipe.text()).toBe("note: one two three four five six\n");
  });

  it.each([
    [80, "class  objects   AP  AP75\nowl          3  0.5   0.4\n", ""],
    [16, "class   AP\nowl    0.5\n", "shown without AP75, objects, because the terminal is narrow (--json has all)"],
  ])("leaves columns out of a table for a terminal of %i columns", (columns, table, left) => {
    const [out, err] = [terminal(columns), sink()];
    new Console({}, { out, err }).table(
      ["class", "objects", "AP", "AP75"],
      [["owl", "3", "0.5", "0.4"]],
      ["AP75", "objects", "AP"],
    );
    expect(stripVTControlCharacters(out.text())).toBe(table);
    expect(err.text()).toContain(left);
  });

  it("shortens names where a table without its columns is still too wide", () => {
    const [out, err] = [terminal(20), sink()];
    const rows = ["長い名前の鳥", "a very long name indeed"].map((name) => [name, "0.5"]);
    new Console({}, { out, err }).table(["class", "AP"], rows);
    expect(stripVTControlCharacters(out.text()).split("\n")).toEqual([
      "class             AP",
      "長い名前の鳥     0.5",
      "a very long na…  0.5",
      "",
    ]);
    expect(err.text()).toBe("note: shown with shortened names, because the terminal is narrow (--json has all)\n");
  });

  it("prints tables whole into a pipe, a row a line whatever the names", () => {
    const out = sink();
    new Console({}, { out }).table(["class", "AP"], [["o\nwl\x1b", "0.5"]], ["AP"]);
    expect(out.text()).toBe("class       AP\no\\nwl\\x1b  0.5\n");
  });

  it("takes 80 columns for a terminal that says 0", () => {
    expect(new Console({}, { err: terminal(0) }).columns).toBe(80);
  });

  it.each(["--plain", "a pipe", "TERM=dumb", "CI=1"])("has no live line with %s", (kind) => {
    if (kind === "TERM=dumb") vi.stubEnv("TERM", "dumb");
    if (kind === "CI=1") vi.stubEnv("CI", "1");
    const err = kind === "a pipe" ? sink() : terminal();
    const console = new Console(kind === "--plain" ? { plain: true } : {}, { err });
    console.live("10 %");
    expect(err.text()).toBe("");
  });

  it("drops what is written after a stream broke", async () => {
    let tries = 0;
    const full = new Writable({
      write(_chunk, _encoding, done) {
        tries++;
        done(Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" }));
      },
      autoDestroy: false,
    });
    const console = new Console({}, { out: full as never, err: sink() });
    console.result("one");
    await new Promise(setImmediate);
    console.result("two");
    expect(tries).toBe(1);
  });
});

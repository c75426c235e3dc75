import { Writable } from "node:stream";
import { stripVTControlCharacters } from "node:util";
import { afterEach, describe, expect, it, vi } from "vitest";
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
afterEach(() => void vi.unstubAllEnvs());

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
  ])("does without colours for %s", (_, environment, options) => {
    for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
    const err = terminal();
    const console = new Console(options, { err });
    console.warning("slow");
    expect(err.text()).toBe("warning: slow\n");
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
    expect(err.text()).toBe(`\x1b[33mwarning:\x1b[39m ${shown}\n${shown}`);
  });

  it("keeps the live line below all else, and shorter than the terminal is wide", () => {
    const both = terminal(10);
    const console = new Console({}, { out: both, err: both });
    console.live("0123456789");
    console.result("found");
    console.end();
    expect(both.text()).toBe("01234567…\r\x1b[2Kfound\n01234567…\r\x1b[2K");
  });

  it("shortens the live line by the columns that its characters take", () => {
    const err = terminal(10);
    new Console({}, { err }).live("猫猫猫猫猫猫");
    expect(err.text()).toBe("猫猫猫猫…");
  });

  it("breaks notes between words where there is a terminal", () => {
    const [narrow, pipe] = [terminal(20), sink()];
    for (const err of [narrow, pipe]) new Console({ plain: false }, { err }).fact("one two three four five six");
    expect(stripVTControlCharacters(narrow.text())).toBe("note: one two three\n  four five six\n");
    expect(pipe.text()).toBe("note: one two three four five six\n");
  });

  it.each([
    [80, "class  objects   AP  AP75\nowl          3  0.5   0.4\n", ""],
    [16, "class   AP\nowl    0.5\n", "AP75, objects"],
  ])("leaves columns out of a table for a terminal of %i columns", (columns, table, left) => {
    const [out, err] = [terminal(columns), sink()];
    new Console({}, { out, err }).table(
      ["class", "objects", "AP", "AP75"],
      [["owl", "3", "0.5", "0.4"]],
      ["AP75", "objects", "AP"],
    );
    expect(out.text()).toBe(table);
    expect(err.text()).toContain(left);
  });

  it("prints tables whole into a pipe, a row a line whatever the names", () => {
    const out = sink();
    new Console({}, { out }).table(["class", "AP"], [["o\nwl\x1b", "0.5"]], ["AP"]);
    expect(out.text()).toBe("class       AP\no\\nwl\\x1b  0.5\n");
  });

  it("takes 80 columns for a terminal that says 0", () => {
    expect(new Console({}, { err: terminal(0) }).columns).toBe(80);
  });

  it.each(["--plain", "a pipe", "TERM=dumb"])("has no live line with %s", (kind) => {
    if (kind === "TERM=dumb") vi.stubEnv("TERM", "dumb");
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

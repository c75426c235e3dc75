import { mkdirSync, mkdtempSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { ControlInbox } from "./control-inbox.js";

it("leaves nothing behind of a state that cannot be put in its place", () => {
  const run = mkdtempSync(join(tmpdir(), "inbox-"));
  const inbox = new ControlInbox(run);
  mkdirSync(join(run, "control", "state.json"));
  inbox.show({ paused: false, step: 1, overrides: {}, undoable: 0 });
  expect(readdirSync(join(run, "control"))).toEqual(["state.json"]);
});

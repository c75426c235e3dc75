import { afterEach, expect, it, vi } from "vitest";
import { main } from "./main.js";

afterEach(() => void vi.restoreAllMocks());

it("listens for faults once, however many command lines a process runs", async () => {
  vi.spyOn(process.stdout, "write").mockImplementation(() => true);
  const listeners = () => ["uncaughtException", "unhandledRejection"].map((event) => process.listenerCount(event));
  expect(await main(["--version"])).toBe(0);
  const before = listeners();
  expect(await main(["--version"])).toBe(0);
  expect(listeners()).toEqual(before);
});

it.each([
  ["control run override decoder", "Expected a rule after the pattern but received none: lower, fp32, "],
  ["bench load --size 100000x100000", "Expected width and height of at most 65535 for size but"],
])("names what %s lacks or has too much of", async (line, message) => {
  let stderr = "";
  vi.spyOn(process.stdout, "write").mockImplementation(() => true);
  vi.spyOn(process.stderr, "write").mockImplementation((text) => Boolean((stderr += text)));
  expect(await main([...line.split(" "), "--plain"])).toBe(2);
  expect(stderr).toContain(`error: ${message}`);
});

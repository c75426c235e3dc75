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

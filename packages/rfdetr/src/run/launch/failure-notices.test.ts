import { distributed } from "@rfdetr/torch";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { DataError, RankError } from "../../support/errors.js";
import { FailureNotices } from "./failure-notices.js";

// A process waits for seconds for what others have to say: here half a second passes at each look at the clock.
beforeEach(() => {
  let now = 0;
  vi.spyOn(performance, "now").mockImplementation(() => {
    now += 500;
    return now;
  });
  // The clock of the machine may be set back meanwhile.
  vi.spyOn(Date, "now").mockImplementation(() => -now);
});
afterEach(() => void vi.restoreAllMocks());

/** A store of a group of three, on the machines a, b and c. */
function storeOf(keys: Record<string, string> = {}) {
  const held = new Map(Object.entries({ "host/0": "a", "host/1": "b", "host/2": "c", ...keys }));
  return {
    held,
    set: (key: string, value: string) => void held.set(key, value),
    get: (key: string) => held.get(key) as string,
    tryGet: (key: string) => held.get(key) ?? null,
  };
}

const place = {
  size: 3,
  localRank: 0,
  localSize: 1,
  address: "a",
  port: 1,
  prefix: "rfdetr",
  timeoutSeconds: 60,
};

function noticesOf(rank: number, store: ReturnType<typeof storeOf>) {
  const abort = vi.fn();
  const notices = new FailureNotices(
    { rank, size: 3, store },
    { ...place, rank, isStoreServer: rank === 0 },
    () => {},
    abort,
  );
  return { notices, abort };
}

const broke = new distributed.DistributedError(
  "Rank 1 on b could not finish barrier: the connection to another rank broke",
);
const silence = new distributed.DistributedError(
  "Rank 0 on a could not finish barrier: another rank did not answer in time",
);

describe("a process that fails by itself", () => {
  it("leaves its sentence, and ends the calls of the others", () => {
    const store = storeOf();
    const { notices, abort } = noticesOf(1, store);
    const error = new DataError("No images", { hint: "Add some" });
    expect(notices.explain(error)).toBe(error);
    expect(JSON.parse(store.held.get("failure/1") as string)).toEqual({ message: "No images", hint: "Add some" });
    expect(abort).toHaveBeenCalledOnce();
  });

  it("stays until the others have read it, where it serves the store", () => {
    const store = storeOf({ "left/1": "" });
    const looks: string[] = [];
    const tryGet = (key: string) => {
      looks.push(key);
      if (looks.length === 3) store.held.set("left/2", "");
      return store.held.get(key) ?? null;
    };
    noticesOf(0, { ...store, tryGet }).notices.explain(new Error("gone"));
    expect(looks).toContain("left/2");
    expect(store.held.has("left/2")).toBe(true);
  });
});

describe("a process whose connection broke", () => {
  it("names the one that said why it failed", () => {
    const store = storeOf({ "failure/2": JSON.stringify({ message: "Memory ran out", hint: "Give it more" }) });
    const error = noticesOf(1, store).notices.explain(broke);
    expect(error).toBeInstanceOf(RankError);
    expect(error).toMatchObject({ message: "Rank 2 on c ended: Memory ran out", hint: "Give it more" });
  });

  it("finds that in what caused an error, too", () => {
    const store = storeOf({ "failure/2": JSON.stringify({ message: "Memory ran out" }) });
    const error = noticesOf(1, store).notices.explain(new Error("backward failed", { cause: broke }));
    expect(error).toMatchObject({ message: "Rank 2 on c ended: Memory ran out" });
  });

  it("names the one that says nothing while the others have noticed", () => {
    const error = noticesOf(1, storeOf({ "noticed/0": "" })).notices.explain(broke);
    expect(error).toMatchObject({ message: "Rank 2 on c ended without a word", cause: broke });
  });

  it("names rank 0 where the store is gone with it", () => {
    const store = storeOf();
    const { notices } = noticesOf(1, store);
    store.set = () => {
      throw new distributed.DistributedError("the connection broke");
    };
    expect(notices.explain(broke)).toMatchObject({ message: "Rank 0 on a ended without a word" });
  });

  it("keeps its error where all have noticed: then it says what they differ in", () => {
    expect(noticesOf(1, storeOf({ "noticed/0": "", "noticed/2": "" })).notices.explain(broke)).toBe(broke);
  });

  it("says the same when it is asked again", () => {
    const { notices } = noticesOf(1, storeOf({ "noticed/0": "" }));
    expect(notices.explain(broke)).toBe(notices.explain(new Error("later")));
  });
});

describe("a process that others did not answer", () => {
  it("names them where it serves the store", () => {
    const store = storeOf({ "noticed/1": "", "left/1": "" });
    const error = noticesOf(0, store).notices.explain(silence);
    expect(error).toMatchObject({ message: "Rank 2 on c did not answer for 60 seconds" });
  });

  it("does not ask the store of another, who may be the one that does not answer", () => {
    const store = storeOf();
    const { notices, abort } = noticesOf(1, store);
    store.set = () => {
      throw new Error("asked");
    };
    expect(notices.explain(silence)).toBe(silence);
    expect(abort).toHaveBeenCalledOnce();
  });
});

import { distributed } from "@rfdetr/torch";
import { describe, expect, it, vi } from "vitest";
import { DataError, RankError } from "../../support/errors.js";
import { LastWords } from "./last-words.js";

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
  ...{ size: 3, localRank: 0, localSize: 1, address: "a", port: 1, prefix: "rfdetr", timeoutSeconds: 60 },
};

function words(rank: number, store: ReturnType<typeof storeOf>) {
  const abort = vi.fn();
  const said = new LastWords({ rank, size: 3, store }, { ...place, rank, isStoreServer: rank === 0 }, () => {}, abort);
  return { said, abort };
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
    const { said, abort } = words(1, store);
    const error = new DataError("No images", { hint: "Add some" });
    expect(said.explain(error)).toBe(error);
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
    words(0, { ...store, tryGet }).said.explain(new Error("gone"));
    expect(looks).toContain("left/2");
    expect(store.held.has("left/2")).toBe(true);
  });
});

describe("a process whose connection broke", () => {
  it("names the one that said why it failed", () => {
    const store = storeOf({ "failure/2": JSON.stringify({ message: "Memory ran out", hint: "Give it more" }) });
    const error = words(1, store).said.explain(broke);
    expect(error).toBeInstanceOf(RankError);
    expect(error).toMatchObject({ message: "Rank 2 on c ended: Memory ran out", hint: "Give it more" });
  });

  it("finds that in what caused an error, too", () => {
    const store = storeOf({ "failure/2": JSON.stringify({ message: "Memory ran out" }) });
    const error = words(1, store).said.explain(new Error("backward failed", { cause: broke }));
    expect(error).toMatchObject({ message: "Rank 2 on c ended: Memory ran out" });
  });

  it("names the one that says nothing while the others have noticed", () => {
    const error = words(1, storeOf({ "noticed/0": "" })).said.explain(broke);
    expect(error).toMatchObject({ message: "Rank 2 on c ended without a word", cause: broke });
  });

  it("names rank 0 where the store is gone with it", () => {
    const store = storeOf();
    const { said } = words(1, store);
    store.set = () => {
      throw new distributed.DistributedError("the connection broke");
    };
    expect(said.explain(broke)).toMatchObject({ message: "Rank 0 on a ended without a word" });
  });

  it("keeps its error where all have noticed: then it says what they differ in", () => {
    expect(words(1, storeOf({ "noticed/0": "", "noticed/2": "" })).said.explain(broke)).toBe(broke);
  });

  it("says the same when it is asked again", () => {
    const { said } = words(1, storeOf({ "noticed/0": "" }));
    expect(said.explain(broke)).toBe(said.explain(new Error("later")));
  });
});

describe("a process that others did not answer", () => {
  it("names them where it serves the store", () => {
    const store = storeOf({ "noticed/1": "", "left/1": "" });
    const error = words(0, store).said.explain(silence);
    expect(error).toMatchObject({ message: "Rank 2 on c did not answer for 60 seconds" });
  });

  it("does not ask the store of another, who may be the one that does not answer", () => {
    const store = storeOf();
    const { said, abort } = words(1, store);
    store.set = () => {
      throw new Error("asked");
    };
    expect(said.explain(silence)).toBe(silence);
    expect(abort).toHaveBeenCalledOnce();
  });
});

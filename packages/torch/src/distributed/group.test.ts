import { describe, expect, it } from "vitest";
import { listenOnLoopback, runRanks, startRanks } from "../testing/ranks.js";

describe("a group of processes", () => {
  it("adds, compares, copies and gathers tensors, in place and in the order of ranks", async () => {
    const values = await runRanks(
      3,
      `
      const { tensor } = torch;
      const sum = tensor([rank + 1, 10]), most = tensor([rank]), least = tensor([rank + 1.5]);
      group.allReduce([sum]);
      group.allReduce([most], "max");
      group.allReduce([least], "min");
      const copied = [tensor([rank], { dtype: "float64" }), tensor([rank], { dtype: "bfloat16" })];
      group.broadcast(copied, 2);
      const transposed = tensor([[rank, 1], [2, 3]]).transpose(0, 1);
      group.broadcast([transposed], 1);
      const gathered = group.allGather(tensor([rank, rank]));
      group.leave();
      return [sum.toList(), most.toList(), least.toList(), copied.map((t) => t.toList()), transposed.toList(),
        gathered.map((t) => t.toList())];`,
    );
    const expected = [
      [6, 30],
      [2],
      [1.5],
      [[2], [2]],
      [
        [1, 2],
        [1, 3],
      ],
      [
        [0, 0],
        [1, 1],
        [2, 2],
      ],
    ];
    expect(values).toEqual([expected, expected, expected]);
  });

  it("gathers tensors of any size, dtype and layout", async () => {
    const values = await runRanks(
      3,
      `
      const { arange, tensor } = torch;
      const all = [
        tensor(rank + 0.5),
        tensor([], { dtype: "int64" }),
        tensor([rank === 1, rank !== 1], { dtype: "bool" }),
        tensor([[rank, 1], [2, 3]], { dtype: "bfloat16" }).transpose(0, 1),
      ].map((each) => group.allGather(each).map((part) => [part.dtype, part.shape, part.toList()]));
      // Beyond 64 KiB, and just below.
      const large = [9000, 8000].map((count) =>
        group.allGather(arange(count, { dtype: "int64" }).add(rank)).map((part) => part.sub(arange(count)).toArray())
          .map((each) => [each.length, Number(each[0]), Number(each.at(-1))]));
      group.leave();
      return [all, large];`,
    );
    const ranks = [0, 1, 2];
    const expected = [
      [
        ranks.map((rank) => ["float32", [], rank + 0.5]),
        ranks.map(() => ["int64", [0], []]),
        ranks.map((rank) => ["bool", [2], rank === 1 ? [1, 0] : [0, 1]]),
        ranks.map((rank) => [
          "bfloat16",
          [2, 2],
          [
            [rank, 2],
            [1, 3],
          ],
        ]),
      ],
      [9000, 8000].map((count) => ranks.map((rank) => [count, rank, rank])),
    ];
    expect(values).toEqual([expected, expected, expected]);
  });

  it("gathers and copies objects of any length, and numbers that are not finite", async () => {
    const values = await runRanks(
      2,
      `
      const all = group.allGatherObjects({ rank, text: "é".repeat(1000 * rank), loss: rank === 0 ? NaN : -Infinity });
      const copied = group.broadcastObject(rank === 1 ? { a: [1, Infinity] } : undefined, 1);
      const bytes = group.allGatherBytes(new Uint8Array(rank * 3).fill(rank));
      group.leave();
      return [all.map(({ loss, text }) => [String(loss), text.length]), String(copied.a[1]),
        bytes.map((each) => [...each])];`,
    );
    const expected = [
      [
        ["NaN", 0],
        ["-Infinity", 1000],
      ],
      "Infinity",
      [[], [1, 1, 1]],
    ];
    expect(values).toEqual([expected, expected]);
  });

  it("has a store, whose keys need no other rank to be set or looked for", async () => {
    const [first, second] = await runRanks(
      2,
      `
      if (rank === 1) group.store.set("word", "from 1");
      const none = group.store.tryGet("nobody sets it");
      const word = group.store.get("word");
      group.leave();
      return [none, word, group.store.get("host/0") === group.store.get("host/1")];`,
    );
    expect(first).toEqual([null, "from 1", true]);
    expect(second).toEqual(first);
  });

  it("of one process computes alone", async () => {
    const [value] = await runRanks(
      1,
      `const t = torch.tensor([2]); group.allReduce([t]); group.broadcast([t]); group.barrier();
       const objects = group.allGatherObjects("x"); group.leave(); return [t.toList(), objects];`,
    );
    expect(value).toEqual([[2], ["x"]]);
  });

  it("can be joined anew by the same processes, also after an abort, under another prefix of the same store", async () => {
    const values = await runRanks(
      2,
      `
      const again = (prefix) => ProcessGroup.join({ rank, size, address: "127.0.0.1", port: options.port,
        isStoreServer: false, timeoutSeconds: 10, prefix });
      const { tensor } = torch;
      group.leave();
      const second = again("second");
      const t = tensor([rank]);
      second.allReduce([t]);
      ProcessGroup.abort();
      const third = again("third");
      third.allReduce([t]);
      third.leave();
      return t.toList();`,
    );
    expect(values).toEqual([[2], [2]]);
  });

  it("refuses calls after it was left, and a second group beside it", async () => {
    const values = await runRanks(
      2,
      `
      const told = [];
      const attempt = (body) => { try { body(); } catch (error) { told.push(error.cause.message); } };
      attempt(() => ProcessGroup.join({ ...options, prefix: "beside" }));
      group.leave();
      attempt(() => group.barrier());
      return told;`,
    );
    for (const told of values)
      expect(told).toEqual(["this process is in a group already", "this process is in no group"]);
  });
});

describe("ranks that do not do the same", () => {
  it("all learn who differs and in what, and the group goes on", async () => {
    const values = await runRanks(
      3,
      `
      const { tensor } = torch;
      const told = [];
      const attempt = (body) => {
        try { body(); told.push(null); } catch (error) { told.push([error.code, error.cause.message]); }
      };
      attempt(() => group.allReduce([tensor(rank === 2 ? [1, 2, 3] : [1, 2])]));
      attempt(() => group.broadcast([tensor([1], { dtype: rank === 1 ? "float64" : "float32" })]));
      attempt(() => (rank === 0 ? group.barrier() : group.allGather(tensor([1]))));
      attempt(() => group.agree("precision", rank === 2 ? "bf16-mixed" : "32-true"));
      attempt(() => group.agree("precision", "32-true"));
      group.leave();
      return told;`,
    );
    const expected = [
      [
        "ERR_DISTRIBUTED",
        "the ranks differ: rank 0 has all-reduce (sum) float32[2] and rank 2 has all-reduce (sum) float32[3]",
      ],
      [
        "ERR_DISTRIBUTED",
        "the ranks differ: rank 0 has broadcast from 0 float32[1] and rank 1 has broadcast from 0 float64[1]",
      ],
      ["ERR_DISTRIBUTED", "the ranks differ: rank 0 has barrier and rank 1 has all-gather float32[1]"],
      ["ERR_DISTRIBUTED", "the ranks differ: rank 0 has precision 32-true and rank 2 has precision bf16-mixed"],
      null,
    ];
    expect(values).toEqual([expected, expected, expected]);
  });
});

describe("a rank that fails", () => {
  const waits = `
    try { for (;;) group.allReduce([torch.zeros([100_000])]); }
    catch (error) { return { code: error.code, error: error.message, hint: error.hint }; }`;

  it.each([0, 1, 2])("by a kill is told of by the others, also rank 0 with the store (rank %i)", async (victim) => {
    const { children, ended } = await startRanks(3, `if (rank === ${victim}) process.send("here"); ${waits}`);
    children[victim].once("message", () => setTimeout(() => children[victim].kill("SIGKILL"), 100));
    const results = await ended;
    expect(results[victim].signal).toBe("SIGKILL");
    for (const { value, code, stderr } of results.filter((_, rank) => rank !== victim)) {
      expect(code).toBe(0);
      expect(value).toMatchObject({
        code: "ERR_DISTRIBUTED",
        error: expect.stringMatching(
          /^Rank \d on \S+ could not finish all-reduce.*: the connection to another rank broke$/,
        ),
        hint: "Another rank ended or its host is gone: look at its last lines",
      });
      expect(stderr).toBe("");
    }
  });

  it("by a stall is told of after the timeout", async () => {
    const { children, ended } = await startRanks(2, `if (rank === 1) process.send("here"); ${waits}`, { timeout: 2 });
    children[1].once("message", () => children[1].kill("SIGSTOP"));
    const stalled = ended.then((results) => results[1]);
    await new Promise((resolve) => children[0].once("close", resolve));
    children[1].kill("SIGKILL");
    expect((await ended)[0].value.error).toMatch(/could not finish all-reduce.*: another rank did not answer in time$/);
    expect((await stalled).signal).toBe("SIGKILL");
  });

  it("by an abort from another thread fails what is pending here and at the others", async () => {
    const values = await runRanks(
      2,
      `
      const { Worker } = await import("node:worker_threads");
      if (rank === 0) new Worker(\`import(\${JSON.stringify(${JSON.stringify(new URL("../../dist/index.js", import.meta.url).href)})})
        .then(({ distributed }) => setTimeout(() => distributed.ProcessGroup.abort(), 300))\`, { eval: true });
      await new Promise((resolve) => setTimeout(resolve, 1000));
      ${waits}`,
    );
    for (const { code } of values) expect(code).toBe("ERR_DISTRIBUTED");
  });
});

describe("joining", () => {
  it("names the ranks that do not come", async () => {
    const [value] = await runRanks(1, "", { join: "size: 4", timeout: 1 });
    expect(value.error).toMatch(
      /^Rank 0 on \S+ could not join the 4 processes at 127\.0\.0\.1:\d+: these ranks did not come in time: 1, 2, 3$/,
    );
  });

  it("refuses two processes of one rank, and a rank beyond the size", async () => {
    const values = await runRanks(2, "", { join: "rank: 0, isStoreServer: process.env.RANK === '0'", timeout: 3 });
    expect(values.map(({ cause }) => cause)).toContain("two processes have rank 0");
    const [beyond] = await runRanks(1, "", { join: "rank: 1" });
    expect(beyond).toMatchObject({ code: "ERR_DISTRIBUTED", error: "Expected a rank from 0 to 0 but received 1" });
  });

  it("says that the port of the store is taken", async () => {
    const { server, port } = await listenOnLoopback();
    const [value] = await runRanks(1, "", { join: `port: ${port}, storeFd: null`, timeout: 2 });
    expect(value.error).toMatch(/the port of the store is taken$/);
    server.close();
  });

  it("gives up after the timeout where another program has the port and says nothing", async () => {
    const { server, port } = await listenOnLoopback();
    const { ended } = await startRanks(1, "", { join: `port: ${port}, isStoreServer: false`, timeout: 1 });
    const [{ value, code }] = await ended;
    expect(value.error).toMatch(/could not join .*: rank 0 was not reached$/);
    expect(code).toBe(0);
    server.close();
  });

  it("listens on the loopback device alone where that is the address, the store on the socket it was given", async () => {
    if (process.platform !== "linux") return;
    const values = await runRanks(
      2,
      `
      const { readdirSync, readFileSync, readlinkSync } = await import("node:fs");
      const links = readdirSync("/proc/self/fd").map((fd) => {
        try { return readlinkSync("/proc/self/fd/" + fd); } catch { return ""; }
      });
      const sockets = new Set(links.flatMap((link) => /^socket:\\[(\\d+)\\]$/.exec(link)?.[1] ?? []));
      const rows = ["/proc/net/tcp", "/proc/net/tcp6"].flatMap((path) =>
        readFileSync(path, "utf8").trim().split("\\n").slice(1).map((row) => row.trim().split(/\\s+/)));
      const listening = rows.filter((row) => row[3] === "0A" && sockets.has(row[9]));
      group.leave();
      return listening.map((row) => row[1].split(":")[0]);`,
    );
    expect(values.flat().length).toBeGreaterThan(0);
    for (const address of values.flat()) expect(address).toBe("0100007F");
  });
});

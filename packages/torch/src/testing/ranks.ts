// Starts processes that join a group, for tests.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";

const engine = new URL("../../dist/index.js", import.meta.url).href;

/** A socket that listens on the loopback device alone, and its descriptor. */
export async function listenOnLoopback(): Promise<{ server: Server; port: number; fd: number }> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { fd } = (server as unknown as { _handle: { fd: number } })._handle;
  return { server, port: (server.address() as AddressInfo).port, fd };
}

/** What a process of {@link startRanks} ended with. */
interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** What its script returned, or `{ error, code, hint, cause }` of what it threw. */
  // biome-ignore lint/suspicious/noExplicitAny: each test knows what its script returns
  value: any;
  stderr: string;
}

/**
 * Starts `size` processes, each of which joins a group and runs `body`, an async function body that sees `torch`,
 * `group`, `rank`, `size` and `options`.
 * @param join replaces some of the options that it is joined with, as source text
 */
export async function startRanks(
  size: number,
  body: string,
  { join = "", timeout = 20 }: { join?: string; timeout?: number } = {},
): Promise<{ children: ChildProcess[]; ended: Promise<Ended[]> }> {
  const { server, port, fd } = await listenOnLoopback();
  const script = `
import * as torch from ${JSON.stringify(engine)};
const rank = Number(process.env.RANK), size = ${size};
const { ProcessGroup, Reducer } = torch.distributed;
let value;
try {
  const options = { rank, size, address: "127.0.0.1", port: ${port}, isStoreServer: rank === 0,
    storeFd: rank === 0 ? 4 : null, timeoutSeconds: ${timeout}, ...{ ${join} } };
  const group = ProcessGroup.join(options);
  value = await (async () => { ${body} })();
} catch (error) {
  value = { error: error.message, code: error.code, hint: error.hint, cause: error.cause?.message };
}
process.send(value ?? null, () => process.disconnect());`;
  const children = Array.from({ length: size }, (_, rank) =>
    spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "inherit", "pipe", "ipc", ...(rank === 0 ? [fd] : [])],
      env: { ...process.env, RANK: String(rank), OMP_NUM_THREADS: "1" },
    }),
  );
  server.close();
  const ended = Promise.all(
    children.map(async (child) => {
      const result: Ended = { code: null, signal: null, value: undefined, stderr: "" };
      child.on("message", (value) => {
        result.value = value;
      });
      child.stderr?.on("data", (text) => {
        result.stderr += text;
      });
      [result.code, result.signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
      return result;
    }),
  );
  return { children, ended };
}

/** Runs processes to their end. @returns what each returned */
export async function runRanks(...args: Parameters<typeof startRanks>): Promise<Ended["value"][]> {
  const { ended } = await startRanks(...args);
  return (await ended).map(({ value }) => value);
}

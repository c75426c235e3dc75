// A group of processes that compute together: c10d inside libtorch, with Gloo on the CPU and NCCL on NVIDIA GPUs.
import { hostname } from "node:os";
import { deserialize, serialize } from "node:v8";
import { native } from "../native.js";
import { scope } from "../scope.js";
import { Tensor } from "../tensor.js";
import { DistributedError, reportFailure } from "./error.js";
import { Store } from "./store.js";

/** How a process finds the others. */
export interface JoinOptions {
  /** The number of this process, from 0. */
  rank: number;
  /** The number of processes. */
  size: number;
  /** Host name or address where the store is served, by rank 0 or by a launcher. */
  address: string;
  port: number;
  /** Whether this process serves the store: rank 0, unless a launcher does. */
  isStoreServer: boolean;
  /** A socket that listens on `port` already, as a file descriptor; for the server only. */
  storeFd?: number | null;
  /** Keys of the store begin with it. A group that is joined anew on the same store needs another one. */
  prefix?: string;
  /** Seconds after which a rank that does not answer counts as lost. */
  timeoutSeconds: number;
  /** Name of the network interface to use, such as `eth0`; default: the one that leads to `address`. */
  networkInterface?: string | null;
  /** `cpu`, or a GPU such as `cuda:0`, whose tensors travel by NCCL. */
  device?: string;
}

/** How several values become one. */
export type Reduction = "sum" | "max" | "min";

/**
 * The processes that compute together. Every method is a collective: all ranks must call it, in the same order. It
 * blocks until all have. Before tensors travel a check of fixed size does: ranks that call different methods, or bring
 * tensors of other shapes or dtypes, all get an error that names them.
 *
 * A rank that ends makes the pending call of the others throw at once; one that stalls, after the timeout. The group
 * cannot be used after that.
 * @example
 * import { distributed, tensor } from "@rfdetr/torch";
 * const group = distributed.ProcessGroup.join({
 *   rank: Number(process.env.RANK),
 *   size: Number(process.env.WORLD_SIZE),
 *   address: "127.0.0.1",
 *   port: 29500,
 *   isStoreServer: process.env.RANK === "0",
 *   timeoutSeconds: 60,
 * });
 * const mine = tensor([group.rank + 1]);
 * group.allReduce([mine]); // with two ranks: [3] on both
 * group.leave();
 */
export class ProcessGroup {
  readonly rank: number;
  readonly size: number;
  /** Keys and values that all ranks see. It stays usable after {@link ProcessGroup.abort}. */
  readonly store: Store;

  private constructor({ rank, size }: JoinOptions) {
    this.rank = rank;
    this.size = size;
    this.store = new Store(rank);
  }

  /**
   * Joins the group; blocks until all ranks have. A process is in one group at a time.
   * @throws DistributedError when not all ranks come in time, or rank 0 is not reached
   */
  static join(options: JoinOptions): ProcessGroup {
    const { rank, size, address, port, isStoreServer, timeoutSeconds } = options;
    if (!(Number.isInteger(size) && size >= 1 && Number.isInteger(rank) && rank >= 0 && rank < size))
      throw new DistributedError(`Expected a rank from 0 to ${size - 1} but received ${rank}`);
    const what = `join the ${size} processes at ${address}:${port}`;
    reportFailure(what, rank, () =>
      native.joinGroup(
        rank,
        size,
        address,
        port,
        isStoreServer,
        options.storeFd ?? -1,
        options.prefix ?? "rfdetr",
        Math.round(timeoutSeconds * 1000),
        options.networkInterface ?? process.env.GLOO_SOCKET_IFNAME ?? "",
        options.device ?? "cpu",
      ),
    );
    const group = new ProcessGroup(options);
    group.store.set(`host/${rank}`, hostname());
    return group;
  }

  /** Waits until all ranks are here. */
  barrier(): void {
    this.#check("barrier", "");
  }

  /** Copies the tensors of rank `from` into those of the others. */
  broadcast(tensors: readonly Tensor[], from = 0): void {
    this.#check(`broadcast from ${from}`, describeAll(tensors));
    reportFailure("finish broadcast", this.rank, () => native.broadcast(handles(tensors), from));
  }

  /**
   * Replaces each tensor by the sum, the largest or the smallest of all ranks, element by element. A sum of more than
   * two ranks is not in the order of ranks; that of the `Reducer` is.
   */
  allReduce(tensors: readonly Tensor[], op: Reduction = "sum"): void {
    this.#check(`all-reduce (${op})`, describeAll(tensors));
    reportFailure("finish all-reduce", this.rank, () => native.allReduce(handles(tensors), op));
  }

  /** The tensors of all ranks, which have one shape and dtype, in the order of ranks. */
  allGather(tensor: Tensor): Tensor[] {
    this.#check("all-gather", describeAll([tensor]));
    return this.#gather(tensor);
  }

  /** The bytes of all ranks, in the order of ranks; each may have its own length. */
  allGatherBytes(bytes: Uint8Array): Uint8Array[] {
    const longest = this.#check("all-gather of bytes", "", bytes.length);
    const room = new Uint8Array(8 + longest);
    new DataView(room.buffer).setUint32(0, bytes.length, true);
    room.set(bytes, 8);
    return scope(() => {
      const mine = new Tensor(native.fromBytes(room, [room.length], "uint8"));
      return this.#gather(mine).map((each) => {
        const data = each.toArray() as Uint8Array;
        const length = new DataView(data.buffer, data.byteOffset).getUint32(0, true);
        return data.slice(8, 8 + length);
      });
    });
  }

  /** The values of all ranks, in the order of ranks: anything that `structuredClone` copies. */
  allGatherObjects<T>(value: T): T[] {
    return this.allGatherBytes(serialize(value)).map((bytes) => deserialize(bytes) as T);
  }

  /** The value that rank `from` has; what the others pass is ignored. */
  broadcastObject<T>(value: T, from = 0): T {
    const bytes = this.allGatherBytes(this.rank === from ? serialize(value) : new Uint8Array(0))[from];
    return deserialize(bytes as Uint8Array) as T;
  }

  /**
   * Compares what must be equal on all ranks.
   * @param what its name, for the message
   * @throws DistributedError on every rank, naming the first rank that differs from rank 0
   */
  agree(what: string, value: string): void {
    reportFailure(`agree on the ${what}`, this.rank, () => native.checkGroup(what, value, 0));
  }

  /**
   * Ends the group at once, from any thread: what is pending fails here, and at the other ranks in their next call.
   */
  static abort(): void {
    native.abortGroup();
  }

  /** Waits for all ranks and leaves the group. */
  leave(): void {
    this.barrier();
    native.leaveGroup();
  }

  #gather(tensor: Tensor): Tensor[] {
    const gathered = reportFailure("finish all-gather", this.rank, () => native.allGather(tensor.handle));
    return gathered.map((handle) => new Tensor(handle));
  }

  /** @returns the largest `length` of all ranks */
  #check(what: string, detail: string, length = 0): number {
    return reportFailure(`finish ${what}`, this.rank, () => native.checkGroup(what, detail, length));
  }
}

/** Ends this process without waiting for its threads, one of which may be stuck in a call that nothing ends. */
export const exitNow = (code: number): never => native.exitNow(code);

const handles = (tensors: readonly Tensor[]): number[] => tensors.map((tensor) => tensor.handle);

const describeAll = (tensors: readonly Tensor[]): string =>
  tensors.map(({ dtype, shape }) => `${dtype}[${shape.join(",")}]`).join(" ");

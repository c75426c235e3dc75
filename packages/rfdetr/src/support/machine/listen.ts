// Servers that only this machine can reach.
import type { AddressInfo, Server } from "node:net";
import { UsageError } from "../errors.js";
import { reasonOf } from "../files/system-error.js";

/** The address of this machine for itself. */
export const localHost = "127.0.0.1";

/**
 * Lets a server listen.
 * @param port wanted; undefined for the usual one, or any that is free
 * @returns the port
 * @throws UsageError for a wanted port that cannot be had
 */
export async function listenLocally(server: Server, port: number | undefined, usual: number): Promise<number> {
  const listen = (wanted: number): Promise<number> =>
    new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(wanted, localHost, () => {
        server.off("error", reject);
        resolve((server.address() as AddressInfo).port);
      });
    });
  try {
    return await listen(port ?? usual);
  } catch (error) {
    if (port !== undefined || !isTaken(error)) throw refused(port ?? usual, error);
    return listen(0);
  }
}

/** Ends a server with all connections. */
export function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    if ("closeAllConnections" in server) (server as { closeAllConnections(): void }).closeAllConnections();
  });
}

const isTaken = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === "EADDRINUSE";

function refused(port: number, error: unknown): UsageError {
  const why = isTaken(error) ? "another program listens on it, so give another port or none" : reasonOf(error);
  return new UsageError(`Expected a free port but received ${port}: ${why}`, { cause: error });
}

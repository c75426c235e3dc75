// The socket of the store, opened before anybody knows its port.
import { createServer, type Server } from "node:net";
import { InternalError } from "../../support/errors.js";

/** A socket that listens on loopback only. */
export interface StoreSocket {
  port: number;
  /** To hand to the process that serves the store. */
  fd: number;
  /** Closes it in this process. */
  close(): void;
}

/**
 * Opens a socket for the store of a group on this machine. It listens on 127.0.0.1 alone, and its port cannot be taken
 * by another program before the store is served.
 */
export async function openStoreSocket(): Promise<StoreSocket> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  const fd = (server as Server & { _handle?: { fd?: number } })._handle?.fd ?? -1;
  if (address === null || typeof address === "string" || fd < 0) {
    server.close();
    throw new InternalError("The socket of the store has no file descriptor that could be handed on");
  }
  return { port: address.port, fd, close: () => void server.close() };
}

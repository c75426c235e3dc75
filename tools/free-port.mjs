// @ts-check
// Finds a port that no program uses.
import { once } from "node:events";
import { createServer } from "node:net";

/** A port of the loopback device that nobody uses. */
export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : 0;
}

// A static file server for tests of pages, with or without the headers that isolate a page.
import { createReadStream, existsSync, statSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";

const types: Record<string, string> = {
  ...{ ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css" },
  ...{ ".wasm": "application/wasm", ".json": "application/json", ".png": "image/png", ".jpg": "image/jpeg" },
  ...{ ".svg": "image/svg+xml", ".webmanifest": "application/manifest+json" },
};

/** A running server. */
export interface StaticServer {
  url: string;
  close(): Promise<void>;
}

/** Serves folders, each below its prefix. @param isolated whether pages may use threads */
export async function serve(folders: Readonly<Record<string, string>>, isolated: boolean): Promise<StaticServer> {
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url ?? "/", "http://x").pathname);
    const prefix = Object.keys(folders).find((each) => path.startsWith(each));
    let file = prefix === undefined ? "" : join(folders[prefix], normalize(path.slice(prefix.length)));
    if (existsSync(file) && statSync(file).isDirectory()) file = join(file, "index.html");
    if (file === "" || !existsSync(file)) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, {
      "content-type": types[extname(file)] ?? "application/octet-stream",
      "content-length": statSync(file).size,
      ...(isolated
        ? { "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" }
        : {}),
    });
    createReadStream(file).pipe(response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

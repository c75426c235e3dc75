import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fetchImage } from "./fetch-image.js";
import { imageSource } from "./image-input.js";

let server: Server;
let base: string;
const bytes = Uint8Array.from({ length: 100_000 }, (_, i) => i);

beforeAll(async () => {
  server = createServer((request, response) => {
    const path = request.url?.split("?")[0];
    if (path === "/picture.jpg") response.end(bytes);
    else if (path === "/cut.jpg") {
      response.writeHead(200, { "content-length": 50 });
      response.write("some");
      setTimeout(() => response.destroy(), 20);
    } else if (path !== "/never.jpg") response.writeHead(404).end();
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

describe("an image at an address", () => {
  it("is downloaded, given as text or as a URL, or taken from a data URL", async () => {
    expect(await imageSource(`${base}/picture.jpg`)).toEqual(bytes);
    expect(await imageSource(new URL(`${base}/picture.jpg`))).toEqual(bytes);
    expect(await imageSource("data:image/png;base64,AAEC")).toEqual(new Uint8Array([0, 1, 2]));
  });

  it("that cannot be downloaded is named without its query", async () => {
    await expect(fetchImage(`${base}/none.jpg?token=secret`)).rejects.toMatchObject({
      code: "ERR_PICTURE_INPUT",
      message: `Expected an image at ${base}/none.jpg but the server answers 404 Not Found`,
    });
    await expect(fetchImage(`${base}/cut.jpg`)).rejects.toThrow(`Expected an image at ${base}/cut.jpg but`);
    await expect(fetchImage("http://127.0.0.1:1/a.jpg")).rejects.toThrow("Expected an image at http://127.0.0.1:1/a");
    await expect(fetchImage("http://[bad/a.jpg")).rejects.toThrow("Expected an image at an address that is not valid");
  });

  it("is given up when the signal is aborted, with its reason", async () => {
    const stop = new AbortController();
    const image = fetchImage(`${base}/never.jpg`, stop.signal);
    setTimeout(() => stop.abort(new Error("enough")), 20);
    await expect(image).rejects.toThrow("enough");
  });
});

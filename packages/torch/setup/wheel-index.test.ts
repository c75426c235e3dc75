import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { platformFits } from "./machine.mjs";
import { fetchWheel, findWheel, wheelIndex } from "./wheel-index.mjs";

const folder = mkdtempSync(join(tmpdir(), "index-"));
const saved = { ...process.env };
const servers: Server[] = [];
afterEach(async () => {
  process.env = { ...saved };
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Starts a server. @returns its address */
async function serve(answer: RequestListener): Promise<string> {
  const server = createServer(answer).listen(0, "127.0.0.1");
  servers.push(server);
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const sha = (text: string | Buffer): string => createHash("sha256").update(text).digest("hex");
const linux = (tag: string): boolean => platformFits(tag, { platform: "linux", arch: "x64", glibc: "2.36", macos: 0 });

/** A page of an index with these files. */
const page = (files: string[]): string =>
  `<!DOCTYPE html><html><body>${files
    .map((file) => `<a href="../files/${file.replace("+", "%2B")}#sha256=${sha(file)}" data-x="&gt;=3">${file}</a><br>`)
    .join("\n")}</body></html>`;

describe("a wheel of an index", () => {
  const files = [
    "torch-2.14.1+cpu-cp311-cp311-manylinux_2_28_x86_64.whl",
    "torch-2.15.0+cpu-cp312-cp312-manylinux_2_28_x86_64.whl",
    "torch-2.15.0+cpu-cp311-cp311-manylinux_2_28_aarch64.whl",
    "torch-2.15.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl",
    "torch-2.15.0+cpu-cp311-cp311-win_amd64.whl",
    "torch-2.15.0+cu130-cp311-cp311-manylinux_2_28_x86_64.whl",
    "torch-2.15.0-cp311-none-macosx_14_0_arm64.whl",
  ];

  it("is that of the version, for the CPU and for this machine", async () => {
    const asked: string[] = [];
    const index = await serve((request, response) => {
      asked.push(request.url ?? "");
      response.setHeader("content-type", "text/html").end(page(files));
    });
    const wheel = await findWheel(`${index}/whl/cpu`, "torch==2.15.0", linux);
    expect(asked).toEqual(["/whl/cpu/torch/"]);
    expect(wheel).toMatchObject({
      url: `${index}/whl/cpu/files/torch-2.15.0%2Bcpu-cp311-cp311-manylinux_2_28_x86_64.whl`,
      file: files[3],
      version: "2.15.0+cpu",
      sha256: sha(files[3] as string),
    });
    const mac = (tag: string) => platformFits(tag, { platform: "darwin", arch: "arm64", glibc: undefined, macos: 15 });
    expect((await findWheel(`${index}/whl/cpu`, "torch==2.15.0", mac)).file).toBe(files[6]);
  });

  it("without a hash, or for other machines alone, is none", async () => {
    const index = await serve((_, response) =>
      response.end(`<a href="torch-2.15.0-cp311-cp311-manylinux_2_28_x86_64.whl">x</a>${page([files[2] as string])}`),
    );
    await expect(findWheel(index, "torch==2.15.0", linux)).rejects.toThrow(
      /^127\.0\.0\.1:\d+: no wheel of torch==2\.15\.0 for this machine$/,
    );
  });

  it("of a server that is not there, or has no such page, is told in words", async () => {
    const index = await serve((_, response) => response.writeHead(404).end());
    await expect(findWheel(index, "torch==2.15.0", linux)).rejects.toThrow(/: the server answers 404 Not Found$/);
    await expect(findWheel("http://127.0.0.1:9", "torch==2.15.0", linux)).rejects.toThrow(/^127\.0\.0\.1:9: /);
  });

  it("comes from the index that the user names", () => {
    expect(wheelIndex()).toBe("https://download.pytorch.org/whl/cpu");
    process.env.RFDETR_WHEEL_INDEX = "https://mirror.example/simple/";
    expect(wheelIndex()).toBe("https://mirror.example/simple");
  });
});

describe("tags of platforms", () => {
  it.each([
    ["manylinux_2_28_x86_64", true],
    ["manylinux_2_36_x86_64", true],
    ["manylinux_2_37_x86_64", false],
    ["manylinux_2_5_x86_64", true],
    ["manylinux2014_x86_64", true],
    ["manylinux1_x86_64", true],
    ["linux_x86_64", true],
    ["manylinux_2_18_aarch64", false],
    ["musllinux_1_2_x86_64", false],
    ["win_amd64", false],
    ["any", false],
  ])("%s on a machine with glibc 2.36 and an x86-64: %s", (tag, fits) => {
    expect(linux(tag)).toBe(fits);
  });

  it("never fit a system without glibc, and a macOS older than they need", () => {
    const musl = { platform: "linux" as const, arch: "x64" as const, glibc: undefined, macos: 0 };
    expect(platformFits("manylinux_2_5_x86_64", musl)).toBe(false);
    const mac = { platform: "darwin" as const, arch: "arm64" as const, glibc: undefined, macos: 14 };
    expect(platformFits("macosx_14_0_arm64", mac)).toBe(true);
    expect(platformFits("macosx_15_0_arm64", mac)).toBe(false);
    expect(platformFits("macosx_11_0_x86_64", mac)).toBe(false);
  });
});

describe("a download of a wheel", () => {
  const body = Buffer.alloc(100_000, "wheel");
  const wheelAt = (url: string) => ({ url: `${url}/w.whl`, file: "w.whl", version: "1", sha256: sha(body) });
  const part = (target: string): string => join(target, `w.whl.${sha(body).slice(0, 16)}.part`);
  let target = "";
  const fresh = (): string => {
    target = mkdtempSync(join(folder, "to-"));
    return target;
  };

  /** Answers as a server with ranges does, and ends the connection after so many bytes if `most` is given. */
  const ranged =
    (asked: (string | undefined)[], most?: number) => (request: IncomingMessage, response: ServerResponse) => {
      asked.push(request.headers.range);
      const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
      if (from >= body.length) return void response.writeHead(416).end();
      response.writeHead(from > 0 ? 206 : 200, { "content-length": body.length - from });
      if (most === undefined) response.end(body.subarray(from));
      else {
        response.write(body.subarray(from, from + most));
        // What was on its way when a connection ended is not kept.
        const until = setInterval(() => {
          if ((statSync(part(target), { throwIfNoEntry: false })?.size ?? 0) < most) return;
          clearInterval(until);
          response.destroy();
        }, 2);
      }
    };

  it("that is cut off is continued where it was", async () => {
    const asked: (string | undefined)[] = [];
    const wheel = wheelAt(await serve(ranged(asked, 40_000)));
    await expect(fetchWheel(wheel, fresh(), "test")).rejects.toThrow(/^127\.0\.0\.1:\d+: /);
    expect(readFileSync(part(target)).equals(body.subarray(0, 40_000))).toBe(true);
    const path = await fetchWheel(wheelAt(await serve(ranged(asked))), target, "test");
    expect(asked).toEqual([undefined, "bytes=40000-"]);
    expect(readFileSync(path).equals(body)).toBe(true);
    expect(readdirSync(target)).toEqual(["w.whl"]);
  });

  it("that was complete, but not put in its place, is not repeated", async () => {
    const asked: (string | undefined)[] = [];
    const wheel = wheelAt(await serve(ranged(asked)));
    writeFileSync(part(fresh()), body);
    expect(readFileSync(await fetchWheel(wheel, target, "test")).equals(body)).toBe(true);
    expect(asked).toEqual([`bytes=${body.length}-`]);
  });

  it("from a server without ranges begins anew, and is whole", async () => {
    const wheel = wheelAt(await serve((_, response) => response.end(body)));
    writeFileSync(part(fresh()), "something else");
    expect(readFileSync(await fetchWheel(wheel, target, "test")).equals(body)).toBe(true);
  });

  it("of another file under the same name does not continue what is there", async () => {
    const asked: (string | undefined)[] = [];
    const url = await serve(ranged(asked));
    writeFileSync(join(fresh(), "w.whl.0123456789abcdef.part"), "of an older file");
    expect(readFileSync(await fetchWheel(wheelAt(url), target, "test")).equals(body)).toBe(true);
    expect(asked).toEqual([undefined]);
  });

  it("that stalls is given up, and keeps what it has", async () => {
    const url = await serve((_, response) => {
      response.writeHead(200, { "content-length": body.length });
      response.write(body.subarray(0, 1000));
    });
    await expect(fetchWheel(wheelAt(url), fresh(), "test", 300)).rejects.toThrow(
      /: 0\.3 seconds passed without a byte$/,
    );
    expect(readFileSync(part(target)).length).toBe(1000);
  });

  it("goes through the proxy of the usual variables", async () => {
    const asked: string[] = [];
    const server = await serve((_, response) => response.end(body));
    const proxy = await serve((_, response) => response.writeHead(500).end());
    servers.at(-1)?.on("connect", ({ url }: IncomingMessage, client: Duplex) => {
      asked.push(url ?? "");
      const there = connect(Number(new URL(server).port), "127.0.0.1", () => {
        client.write("HTTP/1.1 200 Connected\r\n\r\n");
        there.pipe(client).pipe(there);
      });
    });
    Object.assign(process.env, { HTTP_PROXY: proxy, http_proxy: proxy, NO_PROXY: "", no_proxy: "" });
    const path = await fetchWheel(wheelAt("http://wheels.example"), fresh(), "test");
    expect(asked).toEqual(["wheels.example:80"]);
    expect(readFileSync(path).equals(body)).toBe(true);
  });
});

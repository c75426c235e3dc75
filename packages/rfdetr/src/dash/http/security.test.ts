import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { type IncomingHttpHeaders, request } from "node:http";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeExampleRun } from "../../testing/runs/example-run.js";
import { type Dash, startDash } from "../server.js";

const root = realpathSync(mkdtempSync(join(tmpdir(), "dash-")));
const runs = join(root, "runs");
const hostile = '<img src=x onerror="alert(1)">';
let dash: Dash;
let cookie = "";
let key = "";
let run = "";

interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

/** A request whose path is sent as it stands: `fetch` would tidy it. */
function send(
  path: string,
  options: { method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<Answer> {
  const { method = "GET", headers = {}, body } = options;
  return new Promise((resolve, reject) => {
    const sent = request(
      { host: "127.0.0.1", port: dash.port, path, method, headers, setHost: headers.host === undefined },
      (answer) => {
        const parts: Buffer[] = [];
        answer.on("data", (part) => parts.push(part));
        answer.on("end", () =>
          resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(parts).toString() }),
        );
      },
    );
    sent.on("error", reject);
    sent.end(body);
  });
}
const signedIn = (path: string, headers: Record<string, string> = {}): Promise<Answer> =>
  send(path, { headers: { cookie, ...headers } });
const post = (headers: Record<string, string>, body = '{"command":"stop"}'): Promise<Answer> =>
  send(`/api/runs/${run}/control`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body,
  });

beforeAll(async () => {
  writeExampleRun(join(runs, "one"), { steps: 40, classes: [hostile, "dog"] });
  mkdirSync(join(runs, "one", "pictures"));
  writeFileSync(join(root, "secret.jpg"), "secret");
  writeFileSync(join(runs, "one", "pictures", "labels.jpg"), "a picture");
  writeFileSync(join(runs, "one", "pictures", "f1.svg"), "<svg/>");
  symlinkSync(join(root, "secret.jpg"), join(runs, "one", "pictures", "linked.jpg"));
  const index = ["labels.jpg", "f1.svg", "linked.jpg", "../../../secret.jpg", join(root, "secret.jpg")];
  const entry = { kind: "labels", title: "t", alt: "a", width: 1, height: 1 };
  writeFileSync(
    join(runs, "one", "pictures", "pictures.json"),
    JSON.stringify(index.map((file) => ({ file, ...entry }))),
  );
  dash = await startDash({ folder: runs, port: 0 });
  const { headers } = await send(new URL(dash.url).pathname + new URL(dash.url).search);
  cookie = String(headers["set-cookie"]).split(";")[0];
  const page = await signedIn("/");
  key = /name="rfdetr-key" content="([^"]+)"/.exec(page.body)?.[1] ?? "";
  [{ id: run }] = JSON.parse((await signedIn("/api/runs")).body);
});
afterAll(async () => {
  await dash.close();
  rmSync(root, { recursive: true });
});

describe("the address", () => {
  it("listens on this machine only", async () => {
    const others = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
    for (const { address, family, internal } of others) {
      if (internal || family !== "IPv4") continue;
      await expect(fetch(`http://${address}:${dash.port}/`)).rejects.toThrow();
    }
    expect(new URL(dash.url).hostname).toBe("127.0.0.1");
  });

  it("has a token of 256 random bits, which becomes a cookie that no script and no other site gets", async () => {
    const token = new URL(dash.url).searchParams.get("token") ?? "";
    expect(Buffer.from(token, "base64url")).toHaveLength(32);
    const { headers, body, status } = await send(`/?token=${token}`);
    expect(status).toBe(200);
    expect(String(headers["set-cookie"])).toMatch(/; HttpOnly/);
    expect(String(headers["set-cookie"])).toMatch(/; SameSite=Strict/);
    expect(body).not.toContain(token);
  });

  it("opens nothing without the token", async () => {
    // Letters outside ASCII: as many as the token has, in more bytes.
    const letters = `/?token=${"%C3%A9".repeat(43)}`;
    const pages = ["/", "/page/app.js", "/api/runs", "/api/events", `/api/runs/${run}/details`];
    for (const path of [...pages, "/?token=wrong", letters]) {
      const { status, headers } = await send(path);
      expect([path, status]).toEqual([path, 401]);
      expect(headers["set-cookie"]).toBeUndefined();
    }
    const wrong = cookie.replace(/.$/, (last) => (last === "A" ? "B" : "A"));
    expect((await send("/api/runs", { headers: { cookie: wrong } })).status).toBe(401);
  });
});

describe("other sites", () => {
  it("do not reach it under a name of theirs (DNS rebinding)", async () => {
    for (const host of ["evil.example", `evil.example:${dash.port}`, "127.0.0.1", `127.0.0.1:${dash.port + 1}`, ""])
      expect((await signedIn("/api/runs", { host })).status).toBe(host === "" ? 400 : 403);
    expect((await signedIn("/api/runs", { host: `localhost:${dash.port}` })).status).toBe(200);
  });

  it("get no data, not even other ports of this machine", async () => {
    for (const from of ["cross-site", "same-site"])
      expect((await signedIn("/api/runs", { "sec-fetch-site": from })).status).toBe(403);
    expect((await signedIn("/api/runs", { "sec-fetch-site": "same-origin" })).status).toBe(200);
  });

  it("cannot frame it, and it loads nothing from elsewhere", async () => {
    for (const path of ["/", "/page/app.js", "/api/runs", "/none"]) {
      const { headers } = await signedIn(path);
      const policy = String(headers["content-security-policy"]);
      for (const rule of [
        "default-src 'none'",
        "script-src 'self'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
      ])
        expect(policy).toContain(rule);
      expect(policy).not.toMatch(/unsafe|http|\*/);
      expect(headers).toMatchObject({ "x-content-type-options": "nosniff", "referrer-policy": "no-referrer" });
      expect(headers["access-control-allow-origin"]).toBeUndefined();
    }
    expect((await signedIn("/")).body).not.toMatch(/https?:|\bon\w+=|<script(?! type="module" src)/);
  });
});

describe("a request that changes a run", () => {
  const origin = (): string => `http://127.0.0.1:${dash.port}`;

  it("needs the key of the page, its origin and the cookie", async () => {
    const good = { cookie, origin: origin(), "x-rfdetr-key": key };
    const { cookie: _, ...strange } = good;
    const { origin: __, ...placeless } = good;
    const { "x-rfdetr-key": ___, ...keyless } = good;
    for (const bad of [
      strange,
      placeless,
      keyless,
      { ...good, origin: "http://evil.example" },
      { ...good, origin: "null" },
      { ...good, "x-rfdetr-key": "wrong" },
      { ...good, "sec-fetch-site": "same-site" },
    ])
      expect([401, 403]).toContain((await post(bad)).status);
    // With all of them it is heard; this run does not train.
    const { status, body } = await post(good);
    expect(status).toBe(400);
    expect(JSON.parse(body).error).toMatch(/run in progress/);
  });

  it("is only ever a POST, and a small one with a known command", async () => {
    for (const method of ["PUT", "DELETE", "PATCH", "OPTIONS"])
      expect((await send(`/api/runs/${run}/control`, { method, headers: { cookie } })).status).toBe(405);
    expect((await signedIn(`/api/runs/${run}/control`)).status).toBe(404);
    const good = { cookie, origin: origin(), "x-rfdetr-key": key };
    expect((await post(good, " ".repeat(5000))).status).toBe(413);
    for (const body of ["", "[]", "{}", '{"command":"rm"}', '{"command":"override","pattern":"x","rule":"fp4"}'])
      expect(JSON.parse((await post(good, body)).body).error).toMatch(/Expected a command to a run/);
  });
});

describe("files", () => {
  it.each([
    "/../../../../etc/passwd",
    "/page/../../package.json",
    "/page/..%2f..%2fpackage.json",
    "/page/%2e%2e%2f%2e%2e%2fpackage.json",
    "/page//etc/passwd",
    "/page/app.js%00.html",
    "/page/uplot.d.ts",
    "/api/runs/..%2f..%2fetc/details",
    "/api/runs/%00/details",
  ])("are not reached by %s", async (path) => {
    expect((await signedIn(path)).status).toBe(404);
  });

  it("of pictures are those that the index names and that lie there themselves", async () => {
    const get = async (name: string): Promise<number> => (await signedIn(`/api/runs/${run}/pictures/${name}`)).status;
    expect(await get("labels.jpg")).toBe(200);
    for (const name of [
      "linked.jpg",
      "pictures.json",
      "..%2fconfig.json",
      "..%2f..%2f..%2fsecret.jpg",
      encodeURIComponent(join(root, "secret.jpg")),
      "labels.jpg%00",
    ])
      expect([name, await get(name)]).toEqual([name, 404]);
  });

  it("of records are not read through a link", async () => {
    writeExampleRun(join(runs, "two"), { steps: 5 });
    rmSync(join(runs, "two", "metrics.csv"));
    symlinkSync(join(runs, "one", "metrics.csv"), join(runs, "two", "metrics.csv"));
    const two = await startDash({ folder: join(runs, "two"), port: 0 });
    const opened = await fetch(two.url);
    const headers = { cookie: opened.headers.get("set-cookie")?.split(";")[0] ?? "" };
    const get = async (path: string): Promise<Response> =>
      await fetch(`http://127.0.0.1:${two.port}${path}`, { headers });
    const [{ id, curve }] = (await (await get("/api/runs")).json()) as { id: string; curve: number[] }[];
    expect(curve).toEqual([]);
    for (const part of ["details", "epochs", "steps", "watched", "evaluation"])
      expect(await (await get(`/api/runs/${id}/${part}`)).text()).toMatch(/metrics\.csv is a link/);
    rmSync(join(runs, "two", "metrics.csv"));
    symlinkSync(join(runs, "one", "evaluation.json"), join(runs, "two", "evaluation-best.json"));
    expect(await (await get(`/api/runs/${id}/evaluation`)).text()).toMatch(/evaluation-best\.json is a link/);
    rmSync(join(runs, "two"), { recursive: true });
    writeFileSync(join(runs, "two"), "");
    expect(await (await get(`/api/runs/${id}/details`)).text()).toMatch(/two is a file/);
    await two.close();
    rmSync(join(runs, "two"));
  });

  it("that are drawings run nothing when they are opened by themselves", async () => {
    const { headers } = await signedIn(`/api/runs/${run}/pictures/f1.svg`);
    expect(headers["content-type"]).toBe("image/svg+xml");
    expect(headers["content-security-policy"]).toBe("default-src 'none'; style-src 'unsafe-inline'; sandbox");
  });

  it("name classes as data, never as markup", async () => {
    const { headers, body } = await signedIn(`/api/runs/${run}/details`);
    expect(headers["content-type"]).toMatch(/application\/json/);
    expect(JSON.parse(body).config.classes).toEqual([hostile, "dog"]);
  });
});

describe("the port", () => {
  it("that is taken is told in a sentence", async () => {
    await expect(startDash({ folder: runs, port: dash.port })).rejects.toThrow(
      `Expected a free port but received ${dash.port}: another program listens on it, so give another port or none`,
    );
  });
});

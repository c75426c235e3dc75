// Who may talk to the live page: only the browser of the person who started it, and only through the page itself.
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { MiddlewareHandler } from "hono";
import { getCookie, setCookie } from "hono/cookie";

/** What opens the page. */
export interface Keys {
  /** In the address that is printed. It becomes the value of a cookie that no script can read. */
  token: string;
  /** In the page. What changes a run must come with it: other programs on this machine share the cookie's host. */
  post: string;
}

/** New keys. */
export function makeKeys(): Keys {
  const token = randomBytes(32).toString("base64url");
  return { token, post: createHmac("sha256", token).update("post").digest("base64url") };
}

/**
 * Nothing is loaded from elsewhere, no script stands in the page or is made of text, nobody may put the page in a
 * frame. Styles of elements are set by scripts, which this allows.
 */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

const headers: Readonly<Record<string, string>> = {
  "content-security-policy": policy,
  "cache-control": "no-store",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};

const entry = (part: string): string => `<!doctype html>
<meta http-equiv="refresh" content="0;url=/${part}">
<link rel="icon" href="/page/icon.svg">
<title>rfdetr dash</title>
`;

function same(given: string | undefined, key: string): boolean {
  const [a, b] = [Buffer.from(given ?? ""), Buffer.from(key)];
  return a.length === b.length && timingSafeEqual(a, b);
}

/**
 * Lets through what comes from the page itself, and turns the token of the address into a cookie.
 * @param port of the server; 0 until it listens
 * @param part of the page that opens first, as a fragment; default the list
 */
export function guard(keys: Keys, port: () => number, part: () => string = () => ""): MiddlewareHandler {
  return async (c, next) => {
    for (const [name, value] of Object.entries(headers)) c.header(name, value);
    const refuse = (status: 401 | 403 | 405, text: string): Response => c.text(`${text}\n`, status);
    // A name of somebody else's that resolves to this machine must not reach it.
    const host = c.req.header("host") ?? "";
    if (![`127.0.0.1:${port()}`, `localhost:${port()}`].includes(host))
      return refuse(403, "This server answers only to 127.0.0.1 and localhost.");
    const { method, path } = c.req;
    const cookie = `rfdetr-dash-${port()}`;
    if (method === "GET" && path === "/" && same(c.req.query("token"), keys.token)) {
      setCookie(c, cookie, keys.token, { httpOnly: true, sameSite: "Strict", path: "/" });
      // A redirect of a link from another site would come without the new cookie. A page that goes on by itself has it.
      return c.html(entry(part()));
    }
    if (!same(getCookie(c, cookie), keys.token))
      return refuse(401, "Open the address that rfdetr dash printed: its token opens this page.");
    // Other ports of this machine are the same site to a browser, so the cookie comes with their requests too.
    if (!["same-origin", "none", undefined].includes(c.req.header("sec-fetch-site")))
      return refuse(403, "This server answers only to its own page.");
    if (method === "POST") {
      if (c.req.header("origin") !== `http://${host}` || !same(c.req.header("x-rfdetr-key"), keys.post))
        return refuse(403, "What changes a run must come from the page itself.");
    } else if (method !== "GET" && method !== "HEAD") return refuse(405, "Expected GET or POST.");
    return await next();
  };
}

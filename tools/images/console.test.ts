import { describe, expect, it } from "vitest";
import { picture, screensOf } from "./console.mjs";

/** What a command writes: a line, a live line that changes, and an end without it. */
const session = [
  "Script started on 2026-01-01 [TERM=xterm]\n",
  "\x1b[2mmodel      \x1b[22mtiny & \x1b[1m猫\x1b[22m\r\n",
  " \x1b[1m0:02 left\x1b[22m\x1b[J\r",
  " \x1b[1m0:01 left\x1b[22m\x1b[J\r",
  "\r\x1b[J\x1b[32mdone\x1b[39m\r\n",
  "\nScript done on 2026-01-01\n",
].join("");

describe("the picture of a session", () => {
  it("reads what stands on the screen at each moment", async () => {
    const screens = await screensOf(session);
    const words = screens.map((rows) => rows.flat().map(({ text }) => text));
    expect(words).toEqual([
      ["model", "tiny &", "猫", "0:02 left"],
      ["model", "tiny &", "猫", "0:01 left"],
      ["model", "tiny &", "猫", "done"],
    ]);
    const [[model, tiny, cat]] = screens[2];
    expect([model.dim, tiny.at, cat.bold, cat.at, cat.columns]).toEqual([true, 11, true, 18, 2]);
  });

  it("draws each row once, and leaves visible what is there at the end", async () => {
    const svg = picture(await screensOf(session), { title: "A run", prompt: "npx rfdetr train" });
    expect(svg.match(/<text /g)).toHaveLength(1 + 3 + 2 + 1);
    expect(svg.match(/<g[^>]*opacity="0"[^>]*>.*?<\/g>/g)?.map((group) => group.replace(/<.*?>/g, ""))).toEqual([
      "0:02 left",
      "0:01 left",
    ]);
    expect(svg).toContain(">tiny &amp;</text>");
    expect(svg).toContain("prefers-reduced-motion");
  });
});

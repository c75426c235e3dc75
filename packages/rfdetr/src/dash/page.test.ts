// The page in a real browser.
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sharp } from "../data/images/sharp.js";
import type { ControlRequest } from "../run/control/control-files.js";
import { ControlInbox } from "../run/control/control-inbox.js";
import { RunLock } from "../run/files/run-lock.js";
import { leftText } from "../run/transcript/progress-words.js";
import { chromiumPath, startChromium, withoutChromium } from "../testing/pages/chromium.js";
import { exampleDetails } from "../testing/runs/example-details.js";
import { writeExampleRun } from "../testing/runs/example-run.js";
import { maskedDetails } from "../testing/runs/masked-details.js";
import { type Dash, startDash } from "./server.js";

const hostile = '<img src=x onerror="document.title=1">';
const planted = "transformer.decoder.layers.1.linear1";

/** @param figures the cells of an epoch */
function addColumns(file: string, names: string, figures: (epoch: number) => string): void {
  const lines = readFileSync(file, "utf8").trimEnd().split("\n");
  writeFileSync(file, `${lines.map((line, i) => `${line},${i === 0 ? names : figures(i)}`).join("\n")}\n`);
}

describe.skipIf(chromiumPath() === null)(`the page in a browser${withoutChromium}`, () => {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "dash-")));
  const [runs, data] = [join(root, "runs"), join(root, "data")];
  let dash: Dash;
  let browser: Browser;
  const complaints: string[] = [];

  beforeAll(async () => {
    mkdirSync(data);
    const evaluation = exampleDetails([hostile, "plane"]);
    for (const image of evaluation.images_shown) {
      const { width, height } = image;
      image.file = `${image.id}.png`;
      const size = { width: width ?? 64, height: height ?? 64, channels: 3 as const, background: "#557799" };
      await sharp({ create: size }).png().toFile(join(data, image.file));
    }
    // The image that made the largest values of the example.
    mkdirSync(join(data, "valid"));
    await sharp({ create: { width: 32, height: 32, channels: 3, background: "#557799" } }).toFile(
      join(data, "valid", "1.jpg"),
    );
    const growing = { path: planted, everySteps: 100 };
    const bfloat16 = { precision: "bf16-mixed" } as const;
    writeExampleRun(join(runs, "planted"), { steps: 1000, growing, data, evaluation, classes: [hostile, "plane"] });
    writeExampleRun(join(runs, "other"), { steps: 300, seed: 2, settings: { lr: 3e-4 }, summary: null, ...bfloat16 });
    addColumns(join(runs, "other", "metrics.csv"), "val/loss,birds/seen", (epoch) => `${9 - epoch},${10 * epoch}`);
    const masked = maskedDetails();
    for (const [i, image] of masked.images_shown.entries()) image.file = evaluation.images_shown[i].file;
    masked.images_shown[0].worst = [{ kind: "both", rank: 1 }];
    masked.images_shown[0].detections[1].state = "localisation";
    const [found] = masked.images_shown[1].detections;
    masked.images_shown[1].detections = Array.from({ length: 20 }, (_, i) => ({ ...found, score: 0.9 - 0.02 * i }));
    const hosts = [hostile, "oak"];
    writeExampleRun(join(runs, "twins"), { steps: 120, hosts, data, evaluation: masked, settings: { seed: null } });
    dash = await startDash({ folder: runs, port: 0 });
    browser = await startChromium();
  });
  afterAll(async () => {
    await browser.close();
    await dash.close();
    rmSync(root, { recursive: true });
  });

  /** The page at a place of it, in a browser of its own. */
  async function open(part = "", options: { width?: number; dark?: boolean; still?: boolean } = {}): Promise<Page> {
    const { width = 1600, dark = false, still = false } = options;
    const page = await browser.newPage({
      viewport: { width, height: 900 },
      colorScheme: dark ? "dark" : "light",
      reducedMotion: still ? "reduce" : "no-preference",
    });
    page.on("console", (message) => {
      if (message.type() === "error") complaints.push(message.text());
    });
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("response", async (answer) => {
      if (answer.status() >= 400) complaints.push(`${answer.url()}: ${await answer.text()}`);
    });
    page.on("request", (request) => {
      if (!request.url().startsWith(`http://127.0.0.1:${dash.port}/`)) complaints.push(request.url());
    });
    await page.goto(dash.url);
    await page.waitForURL(`http://127.0.0.1:${dash.port}/`);
    await page.getByRole("link", { name: "planted" }).waitFor();
    if (part === "") return page;
    await page.getByRole("link", { name: "planted" }).click();
    await page.getByRole("tab", { name: part }).click();
    return page;
  }

  it("opens by its address alone, without the token in it any more", async () => {
    const page = await open();
    expect(new URL(page.url()).search).toBe("");
    expect(await page.evaluate("document.cookie")).toBe("");
    const stranger = await browser.newContext();
    const answer = await (await stranger.newPage()).goto(`http://127.0.0.1:${dash.port}/`);
    expect(answer?.status()).toBe(401);
    await stranger.close();
    await page.close();
  });

  it("foresees an overflow in words, and shows the module that is to overflow", async () => {
    const page = await open("Numerics");
    const notice = page.locator(".notice .foreseen");
    await notice.waitFor();
    expect(await notice.textContent()).toBe(
      `${planted} will overflow float16 in about 200 steps, near step 1,200. Its outputs have 2.0 bits of headroom and lose one in 100 steps.`,
    );
    expect(await page.locator(".module-title").textContent()).toBe(planted);
    const chosen = page.locator('[role="treeitem"][aria-selected="true"]');
    expect(await chosen.getAttribute("aria-label")).toMatch(
      /^.*linear1: 2\.0 bits of headroom, close to the limit, falling, foreseen to overflow$/,
    );
    await page.close();
  });

  it("moves through the tree of modules by keys", async () => {
    const page = await open("Numerics");
    await page.locator('[role="treeitem"][tabindex="0"]').focus();
    const focused = (): Promise<string | null> => page.evaluate("document.activeElement.dataset.path ?? null");
    await page.keyboard.press("Home");
    const first = await focused();
    const row = page.locator(`[data-path="${first}"]`);
    expect(await row.getAttribute("aria-expanded")).toBe("false");
    await page.keyboard.press("ArrowRight");
    expect(await row.getAttribute("aria-expanded")).toBe("true");
    await page.keyboard.press("ArrowRight");
    expect(await focused()).toMatch(new RegExp(`^${first}\\.`));
    await page.keyboard.press("ArrowLeft");
    expect(await focused()).toBe(first);
    await page.keyboard.press("End");
    await page.keyboard.press("Enter");
    expect(await page.locator(".module-title").textContent()).toBe(await focused());
    expect(await page.locator('[role="treeitem"][tabindex="0"]').count()).toBe(1);
    await page.close();
  });

  it("moves between its parts by keys, and has a table for each chart", async () => {
    const page = await open("Curves");
    await page.locator(".uplot").first().waitFor();
    await page.getByRole("tab", { name: "Curves" }).focus();
    await page.keyboard.press("ArrowRight");
    await page.getByRole("tree").waitFor();
    await page.keyboard.press("ArrowLeft");
    const chart = page.locator(".chart").first();
    await chart.locator(".uplot").waitFor();
    await chart.locator("summary").click();
    expect(await chart.locator(".as-table tbody tr").first().textContent()).toMatch(/^200\.\d+/);
    expect(await page.locator(".chart canvas").count()).toBe(await page.locator(".chart:not(.empty) summary").count());
    await page.close();
  });

  it("has curves of the validation loss and of figures that callbacks record, where a run has them", async () => {
    const page = await open("Curves");
    const [losses, seen] = ["Loss by epoch", "birds/seen"].map((title) => page.locator(".chart", { hasText: title }));
    await page.locator(".uplot").nth(2).waitFor();
    expect([await losses.count(), await seen.count()]).toEqual([0, 0]);
    const titles = async () =>
      (await page.locator(".chart figcaption").allTextContents()).filter((t) => /scale|kipped/.test(t));
    expect(await titles()).toEqual(["Loss scale and skipped stepsscaleskipped"]);
    await page.getByRole("link", { name: "all runs" }).click();
    await page.getByRole("link", { name: "other" }).click();
    for (const chart of [losses, seen]) await chart.locator(".uplot").waitFor();
    const loss = page.locator(".chart figcaption", { hasText: "Training loss by step" });
    expect(await loss.locator(".chart-key > :visible").allTextContents()).toEqual(["loss"]);
    // A run in bfloat16 has no loss scale.
    expect(await titles()).toEqual(["Skipped steps"]);
    expect(await losses.locator("figcaption").textContent()).toBe("Loss by epochvalidationtraining");
    await losses.locator("summary").click();
    await losses.locator(".as-table tbody td").first().waitFor();
    const validation = await losses.locator(".as-table tbody td:nth-child(2)").allTextContents();
    expect(validation).toEqual(["3", "4", "5", "6", "7", "8"]);
    await seen.locator("summary").click();
    expect(await seen.locator(".as-table tbody td").last().textContent()).toBe("10");
    await page.close();
  });

  it("draws detections over the images, hides those below the slider, and shows names as they are", async () => {
    const page = await open("Pictures");
    await page.locator(".boxes .detection").first().waitFor();
    const { images_shown } = exampleDetails();
    const visible = (): Promise<number> => page.locator(".detection:not([hidden])").count();
    const above = (threshold: number): number =>
      images_shown.flatMap(({ detections }) => detections).filter(({ score }) => score >= threshold).length;
    expect(await visible()).toBe(above(0.42));
    await page.locator("#confidence").fill("0.05");
    expect(await visible()).toBe(above(0.05));
    const tags: { ground: string; ink: string }[] = await page.evaluate(
      "[...document.querySelectorAll('.tag:not([hidden])')].map((tag) => ({ ground: tag.children[0].getAttribute('fill'), ink: tag.children[1].getAttribute('fill') }))",
    );
    expect(tags.length).toBe(above(0.05));
    for (const { ground, ink } of tags) expect([ground !== ink, /^#(000000|ffffff)$/.test(ink)]).toEqual([true, true]);
    await page.locator("#confidence").fill("1");
    expect(await visible()).toBe(above(1));
    expect(await page.locator(".classes button").nth(1).textContent()).toBe(hostile);
    expect(await page.locator('img[src="x"]').count()).toBe(0);
    await page
      .locator(".image img")
      .first()
      .evaluate((image: { decode(): Promise<void> }) => image.decode());
    await page.close();
  });

  it("draws as many detections as can be told apart, the best, and says how many there are", async () => {
    const page = await open();
    await page.getByRole("link", { name: "twins" }).click();
    await page.getByRole("tab", { name: "Pictures" }).click();
    const image = page.locator(".image").nth(1);
    await image.locator(".detection:not([hidden])").first().waitFor();
    expect(await image.locator(".counts").textContent()).toBe("20 detected, the best 12 drawn, 1 in the truth");
    expect(await image.locator(".detection:not([hidden])").count()).toBe(12);
    await page.locator("#confidence").fill("0.81");
    expect(await image.locator(".counts").textContent()).toBe("5 detected, 1 in the truth");
    await page.close();
  });

  it("names the epoch of its best figure, and that of the detections and of the classes that it shows", async () => {
    const page = await open();
    await page.locator("tr", { hasText: "planted" }).locator(".of").waitFor();
    expect(await page.locator("tr", { hasText: "planted" }).locator(".of").textContent()).toMatch(/^epoch \d+$/);
    await page.getByRole("link", { name: "planted" }).click();
    expect(await page.locator(".facts dt").first().textContent()).toMatch(/^best AP, epoch \d+$/);
    await page.getByRole("tab", { name: "Pictures" }).click();
    await page.locator(".boxes .detection").first().waitFor();
    expect(await page.locator('[role="tabpanel"]').textContent()).toContain(
      "Detections of the last evaluation, that of epoch 7.",
    );
    await page.getByRole("tab", { name: "Classes" }).click();
    await page.locator("table", { hasText: "Threshold" }).waitFor();
    expect(await page.locator('[role="tabpanel"]').textContent()).toContain(
      "Figures of the last evaluation, that of epoch 7.",
    );
    await page.close();
  });

  it("judges the masks of a model that has them: its classes, its threshold and what is wrong", async () => {
    const page = await open();
    await page.getByRole("link", { name: "twins" }).click();
    await page.getByRole("tab", { name: "Classes" }).click();
    const table = page.locator("table", { hasText: "Threshold" });
    await table.waitFor();
    expect((await table.locator("th[scope=col]").allTextContents()).slice(2, 6)).toEqual([
      "Mask AP",
      "Mask AP50",
      "Box AP",
      "Threshold",
    ]);
    expect((await table.locator("tbody tr").first().locator("td").allTextContents()).slice(1, 5)).toEqual([
      "0.200",
      "0.313",
      "0.400",
      "0.31",
    ]);
    await page.getByRole("tab", { name: "Pictures" }).click();
    const image = page.locator(".image").first();
    await image.locator(".detection").first().waitFor();
    expect(await page.locator("#confidence").inputValue()).toBe("0.31");
    expect(await image.textContent()).toContain("Among the worst: wrong class and mask");
    // The best is drawn last, above the others.
    expect(await image.locator(".detection title").allTextContents()).toEqual([
      "bird 0.61: inexact mask",
      "bird 0.93: right",
    ]);
    await page.close();
  });

  it("shows what is new without being loaded again, and asks for nothing while it is hidden", async () => {
    const page = await open("Curves");
    await page.locator(".uplot").first().waitFor();
    const best = page.locator(".facts dd").first();
    expect(await best.textContent()).not.toBe("0.987");
    appendFileSync(join(runs, "planted", "metrics.csv"), "21,1050,0.0001,5,1,1,1,0.987,0.99,0\n");
    await expect.poll(() => best.textContent(), { timeout: 20_000 }).toBe("0.987");
    const hide = (hidden: boolean): Promise<void> =>
      page.evaluate(
        `Object.defineProperty(document, "hidden", { value: ${hidden}, configurable: true }); document.dispatchEvent(new Event("visibilitychange"))`,
      );
    await hide(true);
    const asked: string[] = [];
    page.on("request", (request) => asked.push(request.url()));
    appendFileSync(join(runs, "planted", "metrics.csv"), "22,1100,0.0001,5,1,1,1,0.991,0.99,0\n");
    await page.waitForTimeout(2500);
    expect(asked).toEqual([]);
    await hide(false);
    await expect.poll(() => best.textContent(), { timeout: 20_000 }).toBe("0.991");
    await page.close();
  });

  it("says of a run in the middle of an epoch what its console says, in the list and at its head", async () => {
    const folder = join(runs, "live");
    writeExampleRun(folder, { steps: 1100, epochSteps: 400, summary: null, data });
    const log = join(folder, "numerics.jsonl");
    const lines = readFileSync(log, "utf8").trimEnd().split("\n");
    const to = lines.findIndex((line) => line.includes('"step":578,'));
    const step = JSON.parse(lines[to]);
    const progress = { ...step.progress, total_steps: 1200, skipped_steps: 4, seconds_left: 3723 };
    lines.splice(to, lines.length, JSON.stringify({ ...step, loss: 12.3456, progress }));
    writeFileSync(log, `${lines.join("\n")}\n`);
    writeFileSync(join(folder, "metrics.csv"), "epoch,step,val/AP\n1,400,0.25\n");
    const lock = RunLock.acquire(folder);
    const left = leftText(3723, statSync(log).mtime);
    try {
      const page = await open();
      const row = page.locator("tr", { hasText: "live" });
      await row.waitFor();
      expect(await row.locator(".progress").textContent()).toBe(`2/3 · ${left}`);
      expect(await row.locator(".skipped").textContent()).toBe("4");
      expect(await row.locator(".bar").getAttribute("style")).toMatch(/--share: ?0\.48/);
      await row.getByRole("link", { name: "live" }).click();
      await page.locator(".facts dd").first().waitFor();
      const facts = (await page.locator(".facts > div").allTextContents()).slice(0, 6);
      expect(facts).toEqual([
        "best AP, epoch 10.250",
        `time${left}`,
        "epoch2/3 44 %",
        "loss12.346",
        "step578/1,200",
        "skipped4",
      ]);
      await page.getByRole("tab", { name: "Numerics" }).click();
      const told = page.locator(".told-line").first();
      await told.waitFor();
      expect(await told.textContent()).toMatch(
        /^No overflow is foreseen\. At step 560, the least headroom, [\d.]+ bits, has /,
      );
      await page.close();
    } finally {
      lock.release();
      rmSync(folder, { recursive: true });
    }
  });

  it("lists a run that trains before the others", async () => {
    const names = async (): Promise<string[]> => {
      const page = await open();
      const all = await page.locator("tbody th a").allTextContents();
      await page.close();
      return all;
    };
    expect(await names()).toEqual(["other", "planted", "twins"]);
    const lock = RunLock.acquire(join(runs, "twins"));
    try {
      await expect.poll(names, { timeout: 20_000 }).toEqual(["twins", "other", "planted"]);
    } finally {
      lock.release();
    }
  });

  it("asks a run that trains, and tells its answer", async () => {
    const folder = join(runs, "planted");
    const lock = RunLock.acquire(folder);
    const inbox = new ControlInbox(folder);
    const state = { paused: false, step: 1000, overrides: {}, undoable: 0 };
    inbox.show(state);
    const taken: ControlRequest[] = [];
    const answering = setInterval(() => {
      const request = inbox.take();
      if (request === null) return;
      taken.push(request);
      inbox.answer(request, { ...state, accepted: true, message: `The run obeys ${request.command}` });
    }, 20);
    try {
      const page = await open("Numerics");
      await page.getByRole("button", { name: "Pause" }).click();
      await page.getByText("The run obeys pause").waitFor();
      await page.getByRole("button", { name: "Change its precision…" }).click();
      await page.getByRole("button", { name: "Change", exact: true }).click();
      await page.getByText("The run obeys override").waitFor();
      expect(taken[1]).toMatchObject({ pattern: "transformer.decoder.layers.*.linear1", rule: "fp32" });
      await page.getByRole("button", { name: "Stop…" }).click();
      await page.getByRole("button", { name: "Cancel" }).click();
      await page.getByRole("button", { name: "Stop…" }).click();
      await page.getByRole("button", { name: "Stop the run" }).click();
      await page.getByText("The run obeys stop").waitFor();
      expect(taken.map(({ command }) => command)).toEqual(["pause", "override", "stop"]);
      await page.close();
    } finally {
      clearInterval(answering);
      inbox.close();
      lock.release();
    }
  });

  it("shows the processes of a run, and names the one that the others wait for", async () => {
    const page = await open("Curves");
    expect(await page.getByRole("tab", { name: "Processes" }).isVisible()).toBe(false);
    await page.getByRole("link", { name: "all runs" }).click();
    await page.getByRole("link", { name: "twins" }).click();
    await page.getByRole("tab", { name: "Processes" }).click();
    await page.locator(".uplot").first().waitFor();
    expect(await page.locator(".sentences .slow").textContent()).toMatch(/^Rank 1 on oak is slow: it works 24\d/);
    const table = page.locator("table").filter({ hasText: "Machine" });
    expect(await table.locator("tbody th").allTextContents()).toEqual(["0", "1 (slow)"]);
    expect(await table.locator("tbody td").first().textContent()).toBe(hostile);
    expect(await page.locator("figcaption").allTextContents()).toEqual([
      "Work of a steprank 0rank 1",
      "Waiting in a steprank 0rank 1",
      "Gradient norm of each processrank 0rank 1",
      "Gradient noise scale, images",
    ]);
    await page.close();
  });

  it("has the seed that was drawn among the settings, and room for values in a narrow window", async () => {
    const page = await open("", { width: 390 });
    await page.getByRole("link", { name: "twins" }).click();
    await page.getByRole("tab", { name: "Settings" }).click();
    const row = page.locator(".settings tr", { has: page.locator("th", { hasText: /^seed$/ }) });
    await row.waitFor();
    expect(await row.locator("td").textContent()).toBe("1");
    const width = await row.locator("td").evaluate((cell: { clientWidth: number }) => cell.clientWidth);
    expect(width).toBeGreaterThan(150);
    await page.close();
  });

  it("compares runs by their curves and the settings that differ", async () => {
    const page = await open();
    await page.getByLabel("Compare planted").check();
    await page.getByLabel("Compare other").check();
    await page.getByRole("button", { name: "Compare 2 runs" }).click();
    await page.locator(".uplot").first().waitFor();
    const settings = page.locator("table").last();
    expect(await settings.locator("tbody th").allTextContents()).toEqual(["epochs", "lr"]);
    expect(await settings.locator("tbody tr").last().locator("td").allTextContents()).toEqual(["0.0001", "0.0003"]);
    await page.close();
  });

  it.each([360, 1600])("fits a window of %i pixels, light and dark", async (width) => {
    const parts = {
      Curves: ".uplot",
      Numerics: ".exponents",
      Pictures: ".boxes",
      Classes: "tbody th",
      Settings: ".settings",
    };
    for (const dark of [false, true]) {
      const page = await open("", { width, dark });
      const wide = (): Promise<number> => page.evaluate("document.documentElement.scrollWidth");
      expect(await wide()).toBe(width);
      // Where the list has no head, each figure has its name.
      const named = (cell: string): Promise<string> =>
        page.evaluate(`getComputedStyle(document.querySelector("${cell}"), "::before").content`);
      expect(await Promise.all([".progress", ".number.strong"].map(named))).toEqual(
        width === 360 ? ['"epoch "', '"AP "'] : ["none", "none"],
      );
      await page.getByRole("link", { name: "planted" }).click();
      for (const [part, content] of Object.entries(parts)) {
        await page.getByRole("tab", { name: part }).click();
        await page.locator(`[role="tabpanel"] ${content}`).first().waitFor();
        expect([part, dark, await wide()]).toEqual([part, dark, width]);
      }
      await page.close();
    }
  });

  it("moves nothing for those who do not want it", async () => {
    const page = await open("", { still: true });
    expect(
      await page.evaluate(
        "[...document.querySelectorAll('*')].filter((e) => getComputedStyle(e, '::before').animationName !== 'none' && e.matches('.running')).length",
      ),
    ).toBe(0);
    await page.close();
  });

  it("loads nothing from elsewhere and breaks no rule of its own policy", () => {
    expect(complaints).toEqual([]);
  });
});

describe("the colours of the page", () => {
  const css = readFileSync(new URL("../../dash/style.css", import.meta.url), "utf8");
  const themes = [...css.matchAll(/:root \{([^}]*)\}/g)].map(
    ([, body]) => new Map([...body.matchAll(/--([\w-]+): (#\w{6});/g)].map(([, name, value]) => [name, value])),
  );
  const light = (hex: string): number => {
    const [r, g, b] = [1, 3, 5].map((at) => {
      const value = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a: string, b: string): number => {
    const [high, low] = [light(a), light(b)].sort((x, y) => y - x);
    return (high + 0.05) / (low + 0.05);
  };

  it.each(["ink", "quiet", "accent", "level-0-text"])(
    "let --%s be read on every ground, light and dark (WCAG 2, 4.5 to 1)",
    (text) => {
      expect(themes).toHaveLength(2);
      for (const theme of themes)
        for (const ground of ["page", "panel", "accent-soft"])
          expect(contrast(theme.get(text) ?? "", theme.get(ground) ?? "")).toBeGreaterThanOrEqual(4.5);
    },
  );
});

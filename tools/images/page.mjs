#!/usr/bin/env node
// @ts-check
// Takes the pictures of the demo's page in docs/images, in Chromium (apt install chromium):
//
//   npm run demo && npm run build && node tools/images/page.mjs [--page runs/emoji-demo/page]
import { parseArgs } from "node:util";
import { serveFolders } from "../../packages/rfdetr/dist/onnx/serve-page.js";
import { startChromium } from "../../packages/rfdetr/dist/testing/pages/chromium.js";
import { savePicture } from "./shared.mjs";

const pictures = [
  { name: "demo-page", width: 1280, height: 860, density: 1, dark: false },
  { name: "demo-page-phone", width: 390, height: 844, density: 2, dark: true },
];

const { values } = parseArgs({ options: { page: { type: "string", default: "runs/emoji-demo/page" } } });
const server = await serveFolders({ "/": values.page }, { port: 0 });
const browser = await startChromium();
try {
  for (const { name, width, height, density, dark } of pictures) {
    const page = await browser.newPage({
      viewport: { width, height },
      deviceScaleFactor: density,
      colorScheme: dark ? "dark" : "light",
    });
    await page.goto(server.url);
    const found = page.getByRole("img", { name: /^Found/ });
    await found.waitFor();
    // The second and later pictures take what a visitor will see: the first one warms the caches. The example in which
    // most is found stays.
    let [most, shown] = [-1, page.getByRole("button", { name: "Example 1" })];
    for (const example of await page.getByRole("button", { name: "Example" }).all()) {
      await example.click();
      await page.waitForTimeout(1500);
      const count = (await found.getAttribute("aria-label"))?.length ?? 0;
      if (count > most) [most, shown] = [count, example];
    }
    await shown.click();
    await page.waitForTimeout(1500);
    await savePicture(await page.screenshot(), name);
    await page.close();
  }
} finally {
  await browser.close();
  await server.close();
}

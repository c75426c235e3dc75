import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { writeExampleRun } from "../../testing/runs/example-run.js";
import { pageOf, root } from "../../testing/runs/written-report.js";

describe("the report of a run of several processes", () => {
  it("says which of them holds up the others, and shows what each did", () => {
    const folder = join(root, "twins");
    const summary = { processes: 2 };
    writeExampleRun(folder, { steps: 120, watchedEvery: 0, hosts: ["<b>birch</b>", "oak"], summary });
    const page = pageOf(folder);
    expect(page.text()).toMatch(/Processes\s*2\s*Hardware/);
    expect(page.text()).toContain("memory of rank 0");
    expect(page.text()).toMatch(/Rank 1 on oak is slow: it works 24\d ms a step, the others 16\d ms/);
    expect(page.text()).toContain("<b>birch</b>");
    const titles = page.all("figcaption").map((caption) => page.text(caption));
    for (const title of ["Work of each step", "Waiting of each step", "Gradient norm of each process"])
      expect(titles).toContain(title);
  });
});

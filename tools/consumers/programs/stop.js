// A training that its user interrupts: node stop.js DATA OUT
import { RFDETR } from "rfdetr";

const [data, outputDir] = process.argv.slice(2);
const detector = await RFDETR.create("tiny", { device: "cpu" });
const short = { batchSize: 2, multiScale: "off", plots: false, numWorkers: 1 };
const run = detector.train({ data, outputDir, ...short, epochs: 1000 });
process.once("SIGINT", () => run.stop());
for await (const event of run) if (event.type === "step") console.log(`step ${event.step}`);
const { summary } = await run.result;
await detector.dispose();
console.log(summary.stop_reason);

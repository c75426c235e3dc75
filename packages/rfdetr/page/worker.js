// @ts-check
// The detector's thread: it loads the file and detects, so that the page stays smooth.

/** @typedef {import("rfdetr/browser").RFDETR} Detector */

/** @type {typeof import("rfdetr/browser")} */
const rfdetr = await import(new URL("rfdetr/browser/index.js", import.meta.url).href);

/** @type {Detector | null} */
let detector = null;

/** @param {unknown} message @param {Transferable[]} [transfer] */
const send = (message, transfer = []) => self.postMessage(message, { transfer });

/** @param {{ file: string, gatherForm?: string, classNames?: string[] }} model */
async function load({ file, gatherForm, classNames }) {
  const at = (/** @type {string} */ path) => new URL(path, import.meta.url).href;
  detector = await rfdetr.RFDETR.load(at(file), {
    runtimeFolder: at("ort/"),
    ...(gatherForm === undefined ? {} : { gatherForm: at(gatherForm) }),
    ...(classNames === undefined ? {} : { classNames }),
    progress: (bytes, total) => send({ type: "progress", bytes, total }),
    trying: (backend, form) => send({ type: "trying", way: rfdetr.backendName(backend, form) }),
  });
  const { classNames: names, masks, model, report, resolution, thresholds } = detector;
  const { attempts, error } = report;
  const colors = rfdetr.classColors(names);
  send({
    type: "ready",
    ...{
      masks,
      model,
      report,
      resolution,
      thresholds,
      classNames: names,
      colors,
      inks: colors.map((color) => rfdetr.readableOn(color)),
    },
    way: rfdetr.backendName(report.backend, report.form),
    error: error === null ? null : rfdetr.errorInWords(error),
    passedOver: attempts
      .slice(0, -1)
      .map((attempt) => `${rfdetr.backendName(attempt.backend, attempt.form)}: ${attempt.reason}`),
  });
}

/** @param {ImageBitmap} bitmap the picture comes back with what was found in it @param {number} threshold */
async function detect(bitmap, threshold) {
  if (detector === null) throw new Error("The detector is not loaded yet");
  const found = await detector.detect(bitmap, { threshold });
  send({ type: "found", found, bitmap }, [bitmap]);
}

self.onmessage = async ({ data }) => {
  try {
    if (data.type === "load") await load(data.model);
    else await detect(data.bitmap, data.threshold);
  } catch (error) {
    send({ type: "failed", message: error instanceof Error ? error.message : String(error) });
  }
};
send({ type: "started" });

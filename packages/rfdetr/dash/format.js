// @ts-check
// Figures as text.

const grouped = new Intl.NumberFormat("en");

/** A whole number with its thousands apart. @param {number} value */
export const whole = (value) => grouped.format(Math.round(value));

/** A count of a plan, as the console has it: `2/3`. @param {number} count @param {number | null} planned */
export const ofPlan = (count, planned) => `${whole(count)}${planned === null ? "" : `/${whole(planned)}`}`;

/** An AP of 0 to 1, as the field writes it. @param {number | null | undefined} value */
export const score = (value) => (value === null || value === undefined ? "–" : value.toFixed(3));

/**
 * The best AP of a run, with a word where it is of masks.
 * @param {number | null} value @param {boolean} [ofMasks]
 */
export const bestText = (value, ofMasks) => (ofMasks ? `${score(value)} mask` : score(value));

/** Which epoch a figure is of. @param {number | null} epoch */
export const epochText = (epoch) => (epoch === null ? "" : `epoch ${whole(epoch)}`);

/**
 * Says that something is of the last evaluation, which is seldom that of the best epoch.
 * @param {string} what @param {{epoch: number | null} | null} origin
 */
export const lastEvaluationText = (what, origin) =>
  `${what} of the last evaluation${typeof origin?.epoch === "number" ? `, that of ${epochText(origin.epoch)}` : ""}.`;

/** @param {number | null | undefined} value */
export const brief = (value) => {
  if (value === null || value === undefined) return "–";
  if (!Number.isFinite(value)) return "not finite";
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size >= 1e6 || size < 1e-3) return value.toExponential(2);
  return grouped.format(Number(value.toPrecision(4)));
};

/** The numbers of an axis: all in powers of ten where all are small. @param {(number | null)[]} values */
export const axisTexts = (values) => {
  const areSmall = values.every((value) => Math.abs(value ?? 0) < 5e-3);
  const text = (/** @type {number} */ value) =>
    areSmall && value !== 0 ? Number(value.toPrecision(3)).toExponential().replaceAll("-", "−") : brief(value);
  return values.map((value) => (value === null ? "" : text(value)));
};

/** Bits with one decimal. @param {number} bits */
export const bitsText = (bits) => {
  if (!Number.isFinite(bits)) return bits > 0 ? "∞" : "over";
  return bits.toFixed(bits < 20 ? 1 : 0).replace("-", "−");
};

/** A share in percent. @param {number} share */
export const percent = (share) => {
  if (share === 0) return "0 %";
  return share < 0.001 ? "< 0.1 %" : `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
};

/** @param {number} bytes */
export const bytesText = (bytes) => {
  if (bytes >= 2 ** 30) return `${Number((bytes / 2 ** 30).toFixed(2))} GiB`;
  return bytes >= 2 ** 20 ? `${Number((bytes / 2 ** 20).toPrecision(4))} MiB` : `${Math.round(bytes / 1024)} KiB`;
};

/** How long ago something was. @param {number} then @param {number} now */
export const ago = (then, now = Date.now()) => {
  const seconds = Math.max(0, (now - then) / 1000);
  if (seconds < 10) return "now";
  if (seconds < 90) return `${Math.round(seconds)} s ago`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
  return seconds < 129_600 ? `${Math.round(seconds / 3600)} h ago` : `${Math.round(seconds / 86_400)} d ago`;
};

const superscripts = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/** 2 to a power, such as 2⁻¹⁴. @param {number} exponent */
export const powerOfTwo = (exponent) =>
  `2${exponent < 0 ? "⁻" : ""}${[...String(Math.abs(exponent))].map((digit) => superscripts[Number(digit)]).join("")}`;

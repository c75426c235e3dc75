// Numbers and paths as text for people.
import { relative, resolve } from "node:path";

/** Names of which one is meant: `a, b or c`. */
export function either(names: readonly string[]): string {
  return [names.slice(0, -1).join(", "), ...names.slice(-1)].filter((part) => part !== "").join(" or ");
}

/** Seconds as `1:02:03` or `4:05`. */
export function hms(seconds: number): string {
  if (!Number.isFinite(seconds)) return "–";
  const whole = Math.max(0, Math.round(seconds));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (n: number) => String(n).padStart(2, "0");
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** Units of an estimated time: each is used from so many seconds on. */
const timeUnits = [
  { from: 48 * 3600, seconds: 24 * 3600, name: "days" },
  { from: 100 * 60, seconds: 3600, name: "h" },
  { from: 100, seconds: 60, name: "min" },
  { from: 0, seconds: 1, name: "s" },
];

/** An estimated time, or where it lies, with two digits, since no more are known: `4.9 h`, `14 to 17 s`. */
export function roughTime(least: number, most: number = least): string {
  const unit = timeUnits.find(({ from }) => most >= from) ?? timeUnits[timeUnits.length - 1];
  const [low, high] = [least, most].map((seconds) => grouped(Number((seconds / unit.seconds).toPrecision(2))));
  return `${low === high ? high : `${low} to ${high}`} ${unit.name}`;
}

/** The time of day `seconds` after `now`, with the weekday if that is another day: `17:42`, `Wed 03:10`. */
export function clock(now: Date, seconds: number): string {
  if (!Number.isFinite(seconds)) return "–";
  const then = new Date(now.getTime() + seconds * 1000);
  const time = `${String(then.getHours()).padStart(2, "0")}:${String(then.getMinutes()).padStart(2, "0")}`;
  return then.toDateString() === now.toDateString()
    ? time
    : `${["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"][then.getDay()]} ${time}`;
}

/** A figure from 0 to 1, such as AP, with three decimals; a dash if there is none (null, NaN, or COCO's −1). */
export function fraction(value: number | null | undefined): string {
  return value === null || value === undefined || !(value >= 0) ? "–" : value.toFixed(3);
}

/** A score threshold: two decimals, up to four where it has more: `0.47`, `0.50`, `0.005`. */
export function thresholdText(value: number): string {
  return value.toFixed(4).replace(/0{1,2}$/, "");
}

/** With separators of thousands: `30,467,298`. */
export function grouped(value: number): string {
  return value.toLocaleString("en-US");
}

/** A number and what it counts: `1 step`, `1,200 steps`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${grouped(count)} ${count === 1 ? one : many}`;
}

/** The verb that agrees with a count: `1 of 17 images is left out`, `2 of 17 images are left out`. */
export function agreeing(count: number, one: string, many: string): string {
  return count === 1 ? one : many;
}

/** A word of a command line, quoted where a shell would take it apart or change it. */
export function shellWord(word: string): string {
  return /^[\p{L}\p{N}@%+=:,./_~-]+$/u.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** Stands for a space that no line is broken at. */
const glue = "\ufdd1";

/** Text that stays in one line wherever lines are broken between words, such as a command that is to be pasted. */
export const unbroken = (text: string): string => text.replaceAll(" ", glue);

/** Text with plain spaces again, as it is written. */
export const plainSpaces = (text: string): string => text.replaceAll(glue, " ");

/** {@link shownPath} that stays in one line. */
export const wholePath = (path: string): string => unbroken(shownPath(path));

/** A path for people: relative to the current folder where it lies in it, as it is elsewhere. */
export function shownPath(path: string, folder: string = process.cwd()): string {
  const inside = relative(folder, resolve(folder, path));
  return inside === "" ? "." : inside.startsWith("..") ? path : inside;
}

/** A label and what is said of it; further lines belong to the same label. */
export type Field = readonly [label: string, ...lines: string[]];

/** Columns that labels of fields take, with the space after them. */
export const labelWidth = 11;

/** Fields as lines: labels in a column of their own, once each. */
export function fieldLines(fields: readonly Field[]): string[] {
  return fields.flatMap(([label, ...lines]) =>
    lines.map((line, i) => `${(i === 0 ? label : "").padEnd(labelWidth)}${plainSpaces(line)}`),
  );
}

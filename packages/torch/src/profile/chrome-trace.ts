// A profile in the Trace Event Format, which chrome://tracing and ui.perfetto.dev open.
// https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
import type { Profile, ProfileEvent, TensorShape } from "./event.js";

/**
 * An event of the format: a slice (`X`), metadata (`M`), or the start or end of an arrow (`s`, `f`). Times are
 * microseconds.
 */
export interface TraceEvent {
  ph: "X" | "M" | "s" | "f";
  name: string;
  cat?: string;
  pid: number;
  tid: number;
  ts?: number;
  dur?: number;
  id?: number;
  bp?: "e";
  args?: Record<string, unknown>;
}

/** A file of the format; write it with `JSON.stringify`. */
export interface ChromeTrace {
  traceEvents: TraceEvent[];
  displayTimeUnit: "ms";
  otherData: Record<string, string | number>;
}

const pid = 1;

/**
 * A profile as a trace: every event is a slice of its thread, and an arrow leads from an operator to each backward node
 * that it made.
 * @param about facts to store with the recording, such as model and machine
 *
 * @example
 * import { writeFileSync } from "node:fs";
 * writeFileSync("trace.json", JSON.stringify(chromeTrace(profile(step).profile)));
 */
export function chromeTrace(
  { events, threads, dropped }: Profile,
  about: Record<string, string | number> = {},
): ChromeTrace {
  const traceEvents: TraceEvent[] = [{ ph: "M", name: "process_name", pid, tid: 0, args: { name: "rfdetr" } }];
  for (let tid = 0; tid < threads; tid++)
    traceEvents.push({
      ph: "M",
      name: "thread_name",
      pid,
      tid,
      args: { name: tid === 0 ? "caller" : `thread ${tid}` },
    });
  for (const [id, event] of events.entries()) {
    traceEvents.push(slice(event));
    const from = events[event.forward];
    if (from === undefined) continue;
    const arrow = { name: "backward of", cat: "backward of", pid, id };
    traceEvents.push({ ...arrow, ph: "s", tid: from.thread, ts: microseconds(from.start) });
    traceEvents.push({ ...arrow, ph: "f", bp: "e", tid: event.thread, ts: microseconds(event.start) });
  }
  return {
    traceEvents,
    displayTimeUnit: "ms",
    otherData: { ...about, ...(dropped > 0 ? { "events dropped": dropped } : {}) },
  };
}

function slice(event: ProfileEvent): TraceEvent {
  const { kind, name, start, end, module, span, phase, sequence, inputs, outputs } = event;
  const args: Record<string, unknown> = { phase };
  if (module !== null) args.module = module;
  if (span !== null) args.span = span;
  if (sequence >= 0) args.sequence = sequence;
  if (inputs !== null) args.inputs = inputs.map(shapeText);
  if (outputs !== null) args.outputs = outputs.map(shapeText);
  const shown = kind === "module" && module !== "" ? `${module} (${name})` : name;
  return {
    ph: "X",
    name: shown,
    cat: kind,
    pid,
    tid: event.thread,
    ts: microseconds(start),
    dur: microseconds(end - start),
    args,
  };
}

const microseconds = (nanoseconds: number): number => nanoseconds / 1000;

const shapeText = ({ dtype, shape }: TensorShape): string => `${dtype}[${shape.join(", ")}]`;

// What a run says, as plain lines: the text of `log.txt`.
import { fieldLines } from "../../support/format.js";
import type { StartEvent, TestEvent, TrainEvent } from "../events/events.js";
import { endingFields } from "./ending.js";
import { EpochTable } from "./epoch-table.js";
import { headerFields, headerTitle, repeatedImages, startAdvice } from "./header.js";
import { SkippedSteps } from "./skipped-step.js";

/** Turns the events of a run into lines, one after the other. */
export class Transcript {
  readonly #table = new EpochTable();
  readonly #skipped = new SkippedSteps();
  #test: TestEvent | null = null;

  /** @returns no line for events that are too many, such as an applied step */
  lines(event: TrainEvent): string[] {
    switch (event.type) {
      case "start":
        this.#table.begin();
        return this.#header(event);
      case "note":
      case "warning":
        return [`${event.type}: ${event.message}`];
      case "control":
        return [`${event.by}: ${event.message}`];
      case "step":
        return this.#skipped.step(event);
      case "epoch": {
        const { note, titles, row, mark } = this.#table.row(event, null);
        const told = note === null ? null : `note: ${note}`;
        return [...this.#skipped.rest(), ...present([told, titles, `${row}${mark}`])];
      }
      case "test":
        this.#test = event;
        return [];
      case "done":
        return [...this.#skipped.rest(), ...fieldLines(endingFields(event, this.#test))];
      default:
        return [];
    }
  }

  #header(event: StartEvent): string[] {
    const advice = startAdvice(event);
    return [
      headerTitle(event),
      ...fieldLines(headerFields(event)),
      ...present([repeatedImages(event)]).map((text) => `note: ${text}`),
      ...present([advice]).map((text) => `warning: ${text}`),
    ];
  }
}

const present = (lines: readonly (string | null)[]): string[] => lines.filter((line) => line !== null);

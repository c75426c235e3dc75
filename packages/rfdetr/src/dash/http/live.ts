// Server-sent events: which rows of the list have changed. The page then asks for what it shows and lacks.
import type { Context } from "hono";
import { type SSEStreamingApi, streamSSE } from "hono/streaming";
import type { DashState } from "../state.js";
import type { RunRow, RunsEvent } from "../wire.js";

/** Milliseconds between two looks at the folders. */
const pause = 1000;
/** Milliseconds after which a line is sent even without news, so that a lost connection is noticed. */
const sign = 15_000;

/** Sends the whole list, then what changes, until the page closes the connection: a hidden page does. */
export function liveEvents(c: Context, { folders, rows }: DashState): Response {
  return streamSSE(c, async (stream) => {
    const sent = new Map<string, RunRow>();
    let quiet = 0;
    for (let first = true; !stream.aborted && !stream.closed; first = false) {
      const event = news(rows.all(folders), sent);
      if (first || event.changed.length + event.removed.length > 0) {
        await stream.writeSSE({ event: "runs", data: JSON.stringify(event) });
        quiet = 0;
      } else if ((quiet += pause) >= sign) {
        await stream.writeSSE({ event: "idle", data: "" });
        quiet = 0;
      }
      await waited(stream);
    }
  });
}

/** What a page lacks that knows the rows of `sent`, which are brought up to date. */
function news(rows: readonly RunRow[], sent: Map<string, RunRow>): RunsEvent {
  // A row that has not changed is the same object: nothing is compared field by field.
  const changed = rows.filter((row) => sent.get(row.id) !== row);
  const ids = new Set(rows.map(({ id }) => id));
  const removed = [...sent.keys()].filter((id) => !ids.has(id));
  for (const row of changed) sent.set(row.id, row);
  for (const id of removed) sent.delete(id);
  return { changed, removed };
}

/** Waits, and no longer than the connection lasts. */
async function waited(stream: SSEStreamingApi): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, pause);
    stream.onAbort(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

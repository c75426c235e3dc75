// A process that the launcher has started: it trains in a thread, and never outlives the launcher.
import process from "node:process";
import { packError } from "../../support/error-transfer.js";
import { InternalError } from "../../support/errors.js";
import { StopRequest, stopSignals } from "../control/stop-request.js";
import { trainInThread } from "../thread/training-thread.js";
import type { FromRank, RankRequest, ToRank } from "./messages.js";

if (process.send === undefined) throw new InternalError("A rank must be started by the launcher");

/** Without a launcher there is nobody to tell; a thread that computes would hold up an ordinary exit. */
const orphaned = (): void => void process.kill(process.pid, "SIGKILL");
process.on("disconnect", orphaned);

function tell(message: FromRank, told: () => void = () => {}): void {
  if (process.connected) process.send?.(message, undefined, {}, told);
}

function end(message: FromRank, code: number): void {
  tell(message, () => {
    process.off("disconnect", orphaned);
    process.exit(code);
  });
}

const stop = new StopRequest();
// The launcher decides: a Ctrl-C reaches it as well, and it tells every process.
for (const signal of stopSignals) process.on(signal, () => tell({ signal }));
for (const event of ["uncaughtException", "unhandledRejection"])
  process.on(event, (error: unknown) => end({ failure: packError(error) }, 1));

let saving: string | null = null;
setInterval(() => {
  if (stop.saving !== saving) tell({ saving: stop.saving });
  saving = stop.saving;
}, 1000).unref();

function begin(request: RankRequest): void {
  const isFirst = request.place.rank === 0;
  trainInThread({ ...request, stop: stop.shared }, (event) => {
    if (isFirst || event.type === "warning") tell({ event });
  }).then(
    () => end({ done: true }, 0),
    (error: unknown) => end({ failure: packError(error) }, 1),
  );
}

process.on("message", (message: ToRank) => {
  if ("begin" in message) begin(message.begin);
  else stop.ask(message.stop);
});

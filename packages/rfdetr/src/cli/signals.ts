// What a command does when a signal ends it.
import { stopSignals } from "../run/control/stop-request.js";

/** Runs `body`. A signal meanwhile runs `clean` and ends the process as it would have without. */
export async function cleanedUp<T>(clean: () => void, body: () => Promise<T>): Promise<T> {
  const handlers = stopSignals.map((signal) => {
    const handler = (): void => {
      release();
      clean();
      process.kill(process.pid, signal);
    };
    return [signal, handler] as const;
  });
  const release = (): void => {
    for (const [signal, handler] of handlers) process.off(signal, handler);
  };
  for (const [signal, handler] of handlers) process.on(signal, handler);
  try {
    return await body();
  } finally {
    release();
  }
}

/** Resolves when the program is asked to end. */
export async function untilSignal(): Promise<void> {
  await new Promise<void>((resolve) => {
    for (const signal of stopSignals) process.once(signal, () => resolve());
  });
}

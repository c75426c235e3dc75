// Processes that this one starts and that must not outlive it.
import { type ChildProcess, type ExecFileOptions, execFile, spawn } from "node:child_process";
import { promisify } from "node:util";

/**
 * Ends a process when this one is gone, also by SIGKILL, and also one that computes and hears nothing. A shell waits
 * for the end of this process, in a group of its own, so that what ends this group leaves it the time.
 */
export function endWithThis(child: ChildProcess): void {
  if (child.pid === undefined) return;
  const guard = spawn("sh", ["-c", 'read -r _; kill -KILL "$0"', String(child.pid)], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  // There is no shell, or it has ended.
  for (const each of [guard, guard.stdin]) each.on("error", () => {});
  guard.unref();
  child.once("exit", () => guard.kill("SIGKILL"));
}

/** Runs a program that ends with this process. @returns what it writes on stdout */
export async function output(program: string, args: readonly string[], options: ExecFileOptions = {}): Promise<string> {
  const running = promisify(execFile)(program, args, { ...options, encoding: "utf8" });
  endWithThis(running.child);
  return (await running).stdout;
}

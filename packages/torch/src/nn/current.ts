// Which module is running: a stack that Module.call pushes and pops, so that every operator call knows its place.
import type { Module } from "./module.js";

const stack: Module[] = [];

/** Told when a module's forward begins and ends. */
export interface ModuleWatcher {
  enter(module: Module): void;
  leave(): void;
}

let watcher: ModuleWatcher | null = null;

/** Sets the one watcher of this thread's modules; null takes it away. */
export function watchModules(next: ModuleWatcher | null): void {
  watcher = next;
}

export function enter(module: Module): void {
  stack.push(module);
  watcher?.enter(module);
}

export function leave(): void {
  stack.pop();
  watcher?.leave();
}

/** The innermost module whose forward is running on this thread. */
export function currentModule(): Module | null {
  return stack.length > 0 ? stack[stack.length - 1] : null;
}

/** Its path from the root, such as `transformer.decoder.layers.0.self_attn`; empty outside of modules and in the root. */
export function currentPath(): string {
  return currentModule()?.path ?? "";
}

// Which module is running: a stack that Module.call pushes and pops, so that every operator call knows its place.

/** A module as the stack sees it. `nn.Module` is one; naming its class here would make a circle of imports. */
export interface RunningModule {
  /** Place in the tree, such as `decoder.layers.0`; `""` for the root. */
  readonly path: string;
}

/** Called when a module's forward begins and when it ends. */
export interface ModuleWatcher {
  enter(module: RunningModule): void;
  leave(): void;
}

const stack: RunningModule[] = [];
let watcher: ModuleWatcher | null = null;

/** Sets this thread's only watcher; null removes it. */
export function watchModules(next: ModuleWatcher | null): void {
  watcher = next;
}

export function enter(module: RunningModule): void {
  stack.push(module);
  watcher?.enter(module);
}

export function leave(): void {
  stack.pop();
  watcher?.leave();
}

/** Runs `body` as a part of `module`; outside of modules for null. */
export function within<T>(module: RunningModule | null, body: () => T): T {
  if (module === null) return body();
  enter(module);
  try {
    return body();
  } finally {
    leave();
  }
}

/** The innermost module whose forward is running on this thread; null outside of modules. */
export function currentModule(): RunningModule | null {
  return stack.length > 0 ? (stack[stack.length - 1] as RunningModule) : null;
}

/**
 * The path of {@link currentModule} from the root, such as `decoder.layers.0.self_attn`; `""` outside of modules and in
 * the root.
 */
export function currentPath(): string {
  return currentModule()?.path ?? "";
}

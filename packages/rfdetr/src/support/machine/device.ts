// Resolves the name of a device.
import { engine } from "@rfdetr/torch";
import { ConfigError, expected } from "../errors.js";
import { suggest } from "../suggest.js";

/** Where a process is among those of its machine. */
interface LocalPlace {
  localRank: number;
  localSize: number;
}

/**
 * The device of a name, such as `cuda:0`.
 * @param name `auto` (the GPU, if there is one), `cpu`, `cuda` or `cuda:N`
 * @param place of one process among several, each of which takes a GPU of its own
 * @throws ConfigError for other names, for CUDA if this libtorch has none, or for one GPU that several processes name
 */
export function resolveDevice(name: string, place: LocalPlace | null = null): string {
  const { cuda } = engine();
  const own = `cuda:${place?.localRank ?? 0}`;
  const { localSize = 1 } = place ?? {};
  if (localSize > 1 && /^cuda:\d+$/.test(name))
    throw new ConfigError(
      `Expected auto, cuda or cpu for device with ${localSize} processes on a machine but received "${name}": each takes a GPU of its own`,
    );
  if (name === "auto") return cuda ? own : "cpu";
  if (name === "cpu") return name;
  if (!/^cuda(:\d+)?$/.test(name)) {
    const meant = /^\d+$/.test(name)
      ? `cuda:${name}`
      : /^gpu/i.test(name)
        ? "cuda"
        : suggest(name, ["auto", "cpu", "cuda"]);
    throw new ConfigError(
      `${expected("auto, cpu or cuda:N", "device", name)}${meant === undefined ? "" : `: did you mean ${meant}?`}`,
    );
  }
  if (!cuda)
    throw new ConfigError(`Device ${name} is not available: this libtorch finds no GPU`, {
      hint: "Run `npx rfdetr setup` with the option `cuda`, which installs a libtorch for NVIDIA GPUs, or choose `device` cpu",
    });
  return name === "cuda" ? own : name;
}

// Which device `auto` means, and whether a named one is there.
import { engine } from "@rfdetr/torch";
import { ConfigError, expected } from "./errors.js";

/** @param name `auto`, `cpu`, `cuda` or `cuda:N`. @throws ConfigError for other names, or CUDA where this libtorch has none. */
export function resolveDevice(name: string): string {
  const { cuda } = engine();
  if (name === "auto") return cuda ? "cuda:0" : "cpu";
  if (name === "cpu") return name;
  if (!/^cuda(:\d+)?$/.test(name)) throw new ConfigError(expected("auto, cpu or cuda:N", "device", name));
  if (!cuda)
    throw new ConfigError(`The device ${name} is not there: this libtorch sees no GPU`, {
      hint: "`rfdetr setup` can get a libtorch that does",
    });
  return name === "cuda" ? "cuda:0" : name;
}

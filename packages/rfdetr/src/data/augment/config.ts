// `aug_config`: the augmentations of an image after its resize, in the form of the Python package.

import { z } from "zod";
import { ConfigError, DataError, expected } from "../../support/errors.js";
import { isPlain } from "../../support/plain.js";
import type { Rng } from "../../support/random.js";
import { shown } from "../../support/shown.js";
import { didYouMean } from "../../support/suggest.js";
import { isThenable } from "../../support/thenable.js";
import type { Sample } from "../images/geometry.js";
import { type CustomFunction, customKind, customName, loadFunctions, pathOf } from "./custom-augmentation.js";
import type { Step } from "./parameters.js";
import { kinds } from "./transforms.js";

/** `{ name: parameters, … }` in order, or a list of objects with one name each, in which a name may come twice. */
export type AugConfig = Readonly<Record<string, unknown>> | readonly Readonly<Record<string, unknown>>[];

/** An augmentation and its probability; inside `OneOf` the probabilities are the weights of the choice. */
interface Node {
  p: number;
  apply: Step;
}

const containers = ["OneOf", "SomeOf", "Sequential"] as const;
const container = z.strictObject({
  transforms: z.array(z.unknown()).min(1),
  p: z.number().min(0).max(1).default(1),
  n: z.number().int().positive().optional(),
  replace: z.boolean().optional(),
});

const compiled = new WeakMap<object, Node[]>();
const knownFunctions = new WeakMap<object, CustomFunction[]>();

/** Checks names and parameters. @throws DataError naming what is unknown, and what is known */
export function checkAugConfig(config: AugConfig): void {
  nodesOf(config);
}

/**
 * Runs the augmentations one after the other, each with its own probability.
 * @throws ConfigError for a custom augmentation, which `augmentWithCustom` runs
 */
export function augment(sample: Sample, config: AugConfig, rng: Rng): Sample {
  if (customFunctions(config).length > 0)
    throw new ConfigError(`Expected augmentations of this program but aug_config has ${customName}`);
  return run(nodesOf(config), sample, rng) as Sample;
}

/**
 * As {@link augment}, also with functions of modules, which are imported first.
 * @param classes number of the dataset's classes; a function that returns a label beyond them is refused
 * @throws CustomCodeError naming a function at fault
 */
export async function augmentWithCustom(
  sample: Sample,
  config: AugConfig,
  rng: Rng,
  classes?: number,
): Promise<Sample> {
  await loadFunctions(customFunctions(config));
  return run(nodesOf(config), sample, rng, classes);
}

function run(nodes: readonly Node[], sample: Sample, rng: Rng, classes?: number): Sample | Promise<Sample> {
  const step = (before: Sample, { p, apply }: Node) => (rng.chance(p) ? apply(before, rng, classes) : before);
  return nodes.reduce<Sample | Promise<Sample>>(
    (before, node) => (isThenable(before) ? before.then((made) => step(made, node)) : step(before, node)),
    sample,
  );
}

/** The functions of modules that a configuration names. */
export function customFunctions(config: AugConfig): CustomFunction[] {
  const known = knownFunctions.get(config);
  if (known !== undefined) return known;
  const found: CustomFunction[] = [];
  mapModules(config, (module, entry) => {
    found.push({ module: pathOf(module), export: typeof entry.export === "string" ? entry.export : "default" });
    return module;
  });
  knownFunctions.set(config, found);
  return found;
}

/** A configuration whose modules have absolute paths, so that a run can be continued from any folder. */
export function withAbsoluteModules(config: AugConfig): AugConfig {
  return mapModules(config, pathOf) as AugConfig;
}

type Entry = Readonly<Record<string, unknown>>;

/** A copy of a configuration with other paths of modules. */
function mapModules(part: unknown, map: (module: string, entry: Entry) => string): unknown {
  if (Array.isArray(part)) return part.map((each) => mapModules(each, map));
  if (typeof part !== "object" || part === null) return part;
  return Object.fromEntries(
    Object.entries(part as Entry).map(([name, value]) => {
      const entry = (name === customName ? value : null) as Entry | null;
      if (typeof entry?.module !== "string") return [name, mapModules(value, map)];
      return [name, { ...entry, module: map(entry.module, entry) }];
    }),
  );
}

function nodesOf(config: AugConfig): Node[] {
  const known = compiled.get(config);
  if (known !== undefined) return known;
  if (!Array.isArray(config) && !isPlain(config))
    throw new DataError(expected("an object or a list", "aug_config", config));
  const nodes = listOf(
    Array.isArray(config) ? config : Object.entries(config).map(([name, given]) => ({ [name]: given })),
  );
  compiled.set(config, nodes);
  return nodes;
}

function listOf(entries: readonly unknown[]): Node[] {
  return entries.map((entry) => {
    const pairs = typeof entry === "object" && entry !== null && !Array.isArray(entry) ? Object.entries(entry) : [];
    if (pairs.length !== 1)
      throw new DataError(
        `Expected an object of one name and its parameters in aug_config but received ${shown(entry)}`,
      );
    const [name, given] = pairs[0];
    return containers.includes(name as never) ? containerOf(name, given) : nodeOf(name, given);
  });
}

function nodeOf(name: string, given: unknown): Node {
  const kind = name === customName ? customKind : kinds[name];
  if (kind === undefined) {
    const known = [...Object.keys(kinds), ...containers, customName];
    throw new DataError(
      `Expected one of ${known.join(", ")} in aug_config but received ${name}${didYouMean(name, known)}`,
    );
  }
  const parameters = checked(kind.parameters, name, given);
  return { p: parameters.p as number, apply: kind.make(parameters as never) };
}

/** `OneOf`, `SomeOf` or `Sequential`; a list is short for `{ transforms: list }`. */
function containerOf(name: string, given: unknown): Node {
  const {
    transforms,
    p,
    n = 1,
    replace = false,
  } = checked(container, name, Array.isArray(given) ? { transforms: given } : given);
  const nodes = listOf(transforms);
  if (name === "Sequential") return { p, apply: (sample, rng, classes) => run(nodes, sample, rng, classes) };
  if (name === "OneOf") return { p, apply: (sample, rng, classes) => weighted(nodes, rng).apply(sample, rng, classes) };
  return {
    p,
    apply: (sample, rng, classes) => {
      const places = Array.from(nodes.keys());
      const drawn = replace ? Array.from({ length: n }, () => rng.choice(places)) : rng.shuffle(places).slice(0, n);
      return run(
        drawn.sort((a, b) => a - b).map((place) => nodes[place]),
        sample,
        rng,
        classes,
      );
    },
  };
}

function weighted(nodes: readonly Node[], rng: Rng): Node {
  let left = rng.uniform(
    0,
    nodes.reduce((sum, { p }) => sum + p, 0),
  );
  return nodes.find(({ p }) => (left -= p) < 0) ?? (nodes.findLast(({ p }) => p > 0) as Node);
}

function checked<T extends z.ZodObject>(type: T, name: string, given: unknown): z.output<T> {
  const parsed = type.safeParse(given);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  if (issue.code === "unrecognized_keys")
    throw new DataError(
      `Expected ${Object.keys(type.shape).join(", ")} for ${name} in aug_config but received ${issue.keys.join(", ")}`,
    );
  const place = [name, ...issue.path].join(".");
  const value = issue.path.reduce<unknown>((v, key) => (v as Record<PropertyKey, unknown> | undefined)?.[key], given);
  throw new DataError(
    `Expected another value for ${place} in aug_config but received ${shown(value)}: ${plain(issue)}`,
  );
}

function plain(issue: z.core.$ZodIssue): string {
  if (issue.code === "invalid_value")
    return `only ${issue.values.map((v) => JSON.stringify(v)).join(", ")} is supported`;
  if (issue.code === "invalid_union") return "a number, or a list of the smallest and the largest";
  return issue.message;
}

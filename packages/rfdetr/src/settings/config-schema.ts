// The JSON Schema of config files, for editors: names, types, defaults and meaning of all settings.
import { z } from "zod";
import { camelCase } from "../support/names.js";
import { refused } from "./refused-settings.js";
import type { Setting } from "./setting.js";
import { settings } from "./settings.js";

type Schema = Record<string, unknown>;

/** Several datasets in place of one. */
const severalDatasets: Schema = {
  type: "array",
  minItems: 1,
  items: {
    type: "object",
    properties: { path: { type: "string", minLength: 1 }, share: { type: "number", exclusiveMinimum: 0 } },
    required: ["path"],
    additionalProperties: false,
  },
};

/** The types of all settings as schemas, and what these refer to. */
function typesOf(all: readonly [string, Setting][]): { types: Record<string, Schema>; $defs: Schema } {
  const shape = z.object(Object.fromEntries(all.map(([name, { type }]) => [name, type])));
  const { properties, $defs = {} } = z.toJSONSchema(shape) as { properties: Record<string, Schema>; $defs?: Schema };
  return { types: properties, $defs };
}

/**
 * The JSON Schema (draft 2020-12) of a config file: each setting by both of its spellings, and what is accepted of the
 * Python package's own files.
 */
export function configSchema(): Schema {
  const properties: Schema = {
    $schema: { type: "string", description: "this schema, for editors" },
  };
  const all = Object.entries(settings) as [string, Setting][];
  const { types, $defs } = typesOf(all);
  for (const [name, { about, differs, fallback, most, also }] of all) {
    properties[name] = {
      ...types[name],
      ...(most === undefined ? {} : { maximum: most }),
      description: `${about}${differs === undefined ? "" : `. Different from the Python package: ${differs}`}`,
      ...(fallback === undefined ? {} : { default: fallback }),
    };
    if (camelCase(name) !== name) properties[camelCase(name)] = { $ref: `#/properties/${name}` };
    if (also !== undefined) properties[also] = { $ref: `#/properties/${name}` };
  }
  const { type, minLength, ...named } = properties.dataset_dir as Schema;
  properties.dataset_dir = { ...named, anyOf: [{ type, minLength }, severalDatasets] };
  properties.data = { $ref: "#/properties/dataset_dir" };
  properties.lr_scheduler_kwargs = {
    type: "object",
    description: "lr_drop and min_factor, as in the Python package",
    properties: { lr_drop: { $ref: "#/properties/lr_drop" }, min_factor: { $ref: "#/properties/min_factor" } },
  };
  for (const [name, { accepts, fixed, reason }] of Object.entries(refused))
    properties[name] = {
      ...(fixed === undefined ? { enum: accepts } : {}),
      description: `No setting here: ${reason}`,
    };
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "Settings of a training with rfdetr",
    type: "object",
    properties,
    additionalProperties: false,
    $defs,
  };
}

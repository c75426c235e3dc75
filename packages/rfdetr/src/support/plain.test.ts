import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { isPlain } from "./plain.js";

class WithMethods {
  lr = 1;
  clone(): WithMethods {
    return new WithMethods();
  }
}
class WithGetter {
  get lr(): number {
    return 1;
  }
}
const rootless = (properties: PropertyDescriptorMap): object => Object.create(Object.create(null, properties));
const method = { value: () => 1 };

describe("a plain object", () => {
  it.each([
    ["a literal", {}],
    ["a literal of another realm", runInNewContext("({ lr: 1 })")],
    ["one without a prototype", Object.create(null)],
    ["one whose prototype is empty and has none itself", rootless({})],
    ["one whose prototype has methods alone and no prototype", rootless({ method })],
    ["an instance of a class with methods alone", new WithMethods()],
  ])("is %s", (_, value) => expect(isPlain(value)).toBe(true));

  it.each([
    ["null", null],
    ["a list", []],
    ["a function", () => 1],
    ["a Map", new Map()],
    ["a promise", Promise.resolve()],
    ["an instance of a class with a getter", new WithGetter()],
    ["one that inherits a value", Object.create({ lr: 1 })],
    ["one that inherits a value of a prototype without a prototype", rootless({ lr: { value: 1, enumerable: true } })],
    ["one that inherits a getter of such a prototype", Object.create(rootless({ lr: { get: () => 1 } }))],
  ])("is not %s", (_, value) => expect(isPlain(value)).toBe(false));
});

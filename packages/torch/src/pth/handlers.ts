// What each opcode does.
import { Constructor, lookUp } from "./allowed-names.js";
import { UnsafePickleError } from "./error.js";
import { type Machine, mark } from "./machine.js";
import { type OpcodeName, opcodes } from "./opcodes.js";
import { PickledName, PickledObject, type PickledStorage } from "./pickled.js";

type Handler = (machine: Machine) => void;

function pushGlobal(machine: Machine, name: string): void {
  const found = lookUp(name);
  if (found === undefined) throw new UnsafePickleError(machine.path, name);
  machine.push(found);
}

function setItems(machine: Machine, target: unknown, items: unknown[]): void {
  if (items.length % 2) machine.broken("a key without a value");
  for (let i = 0; i < items.length; i += 2) {
    if (target instanceof Map) target.set(items[i], items[i + 1]);
    else if (!(target instanceof PickledObject)) machine.broken("items for something that is not a dict");
  }
}

function pushMemo(machine: Machine, key: number): void {
  if (!machine.memo.has(key)) machine.broken("an unknown reference");
  machine.push(machine.memo.get(key));
}

function call(machine: Machine): void {
  const args = machine.list(machine.pop());
  const callee = machine.pop();
  if (!(callee instanceof Constructor)) machine.broken("a call of something that is not a constructor");
  machine.push(callee.build(args, machine));
}

/** State of plain containers, such as attributes of an OrderedDict or of a parameter, carries no data of ours. */
function build(machine: Machine): void {
  const state = machine.pop();
  const target = machine.top();
  if (target instanceof PickledObject && state instanceof Map)
    for (const [key, value] of state) target.attributes.set(key, value);
}

/** Pushes the storage of `("storage", class, key, location, elements)`. */
function pushStorage(machine: Machine): void {
  const [kind, type, key, , elements] = machine.list(machine.pop());
  if (kind !== "storage" || !(type instanceof PickledName))
    machine.broken("a reference to something that is not a storage");
  const storage: PickledStorage = {
    type: type.name,
    key: machine.text(key),
    elements: machine.integer(elements),
  };
  machine.storages.set(storage.key, storage);
  machine.push(storage);
}

const values = {
  NONE: (m) => m.push(null),
  NEWTRUE: (m) => m.push(true),
  NEWFALSE: (m) => m.push(false),
  BININT: (m) => m.push(m.take(4).readInt32LE()),
  BININT1: (m) => m.push(m.byte()),
  BININT2: (m) => m.push(m.take(2).readUInt16LE()),
  LONG1: (m) => m.push(m.long(m.byte())),
  BINFLOAT: (m) => m.push(m.take(8).readDoubleBE()),
  BINUNICODE: (m) => m.push(m.take(m.uint32()).toString("utf8")),
  SHORT_BINUNICODE: (m) => m.push(m.take(m.byte()).toString("utf8")),
  BINUNICODE8: (m) => m.push(m.take(Number(m.take(8).readBigUInt64LE())).toString("utf8")),
  BINSTRING: (m) => m.push(m.take(m.take(4).readInt32LE()).toString("latin1")),
  SHORT_BINSTRING: (m) => m.push(m.take(m.byte()).toString("latin1")),
  SHORT_BINBYTES: (m) => m.push(m.take(m.byte()).toString("latin1")),
  BINBYTES: (m) => m.push(m.take(m.uint32()).toString("latin1")),
} satisfies Partial<Record<OpcodeName, Handler>>;

const containers = {
  EMPTY_DICT: (m) => m.push(new Map()),
  EMPTY_LIST: (m) => m.push([]),
  EMPTY_TUPLE: (m) => m.push([]),
  EMPTY_SET: (m) => m.push(new Set()),
  TUPLE: (m) => m.push(m.popMark()),
  LIST: (m) => m.push(m.popMark()),
  TUPLE1: (m) => m.push(m.popped(1)),
  TUPLE2: (m) => m.push(m.popped(2)),
  TUPLE3: (m) => m.push(m.popped(3)),
  FROZENSET: (m) => m.push(new Set(m.popMark())),
  DICT: (m) => {
    const map = new Map<unknown, unknown>();
    setItems(m, map, m.popMark());
    m.push(map);
  },
  SETITEM: (m) => {
    const pair = m.popped(2);
    setItems(m, m.top(), pair);
  },
  SETITEMS: (m) => {
    const items = m.popMark();
    setItems(m, m.top(), items);
  },
  APPEND: (m) => {
    const value = m.pop();
    m.list(m.top()).push(value);
  },
  APPENDS: (m) => {
    const values = m.popMark();
    const target = m.list(m.top());
    for (const value of values) target.push(value);
  },
  ADDITEMS: (m) => {
    const values = m.popMark();
    const target = m.top();
    if (!(target instanceof Set)) m.broken("items for something that is not a set");
    for (const value of values) (target as Set<unknown>).add(value);
  },
} satisfies Partial<Record<OpcodeName, Handler>>;

const handlers: Record<Exclude<OpcodeName, "STOP">, Handler> = {
  ...values,
  ...containers,
  PROTO: (m) => {
    if (m.byte() > 5) m.broken("an unknown protocol");
  },
  FRAME: (m) => void m.take(8),
  MARK: (m) => m.push(mark),
  POP: (m) => void m.pop(),
  POP_MARK: (m) => void m.popMark(),
  DUP: (m) => m.push(m.top()),
  BINPUT: (m) => void m.memo.set(m.byte(), m.top()),
  LONG_BINPUT: (m) => void m.memo.set(m.uint32(), m.top()),
  MEMOIZE: (m) => void m.memo.set(m.memo.size, m.top()),
  BINGET: (m) => pushMemo(m, m.byte()),
  LONG_BINGET: (m) => pushMemo(m, m.uint32()),
  GLOBAL: (m) => {
    const module = m.line();
    pushGlobal(m, `${module}.${m.line()}`);
  },
  STACK_GLOBAL: (m) => {
    const name = m.text(m.pop());
    pushGlobal(m, `${m.text(m.pop())}.${name}`);
  },
  REDUCE: call,
  NEWOBJ: call,
  BUILD: build,
  BINPERSID: pushStorage,
};

/** By code. */
export const handlerOf: ReadonlyMap<number, Handler> = new Map(
  Object.entries(handlers).map(([name, handler]) => [opcodes[name as OpcodeName], handler]),
);

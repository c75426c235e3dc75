// What a process of a group prints that is not rank 0: nothing but what it warns of and why it failed.
import { hostname } from "node:os";
import { Writable } from "node:stream";
import { readRankPlace } from "../../run/launch/rank-place.js";
import { RfdetrError } from "../../support/errors.js";
import { Console } from "../console/console.js";

/** The rank that a launcher such as torchrun has given this process; 0 without one, or where it cannot be read. */
export function rankHere(): number {
  try {
    return readRankPlace(process.env, 1, 2)?.place.rank ?? 0;
  } catch (error) {
    if (!RfdetrError.is(error)) throw error;
    return 0;
  }
}

/** A console that shows warnings only. */
export function silentConsole(): Console {
  const nowhere = new Writable({ write: (_chunk, _encoding, written) => written() });
  const silent = new Console({ plain: true }, { out: nowhere, err: nowhere });
  const heard = new Console({ plain: true });
  silent.warning = (text) => heard.warning(text);
  return silent;
}

/** A console for the errors of a rank, which says whose they are. */
export class RankConsole extends Console {
  constructor(readonly rank: number) {
    super({ plain: true });
  }

  override error(text: string): void {
    const own = `rank ${this.rank} on ${hostname()}`;
    super.error(text.toLowerCase().startsWith(own.toLowerCase()) ? text : `${own}: ${text}`);
  }
}

// @ts-check
// Ends a program with the sentence of an error that its user can mend, rather than with a stack trace. A program that
// imports it needs its file beside it.
import { RfdetrError } from "rfdetr";

/** Ends the program. @param {unknown} why a sentence, or an error @returns {never} */
export function fail(why) {
  console.error(RfdetrError.is(why) ? why.message : why);
  process.exit(1);
}

process.on("uncaughtException", fail);

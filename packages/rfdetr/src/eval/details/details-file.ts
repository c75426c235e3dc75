// `evaluation.json`: written in one line, since curves and boxes with a number a line would be ten times as long.

import { EvaluationError } from "../../support/errors.js";
import { replaceText } from "../../support/files/atomic.js";
import { readJson } from "../../support/files/json.js";
import { schemaFault } from "../../support/files/schema-fault.js";
import type { Fail } from "../../support/files/text-file.js";
import { detailsSchema } from "./details-schema.js";
import { detailsVersion, type EvaluationDetails } from "./evaluation-details.js";

/** Writes the file at once, never in part. @throws RunDirectoryError when it cannot be written */
export function writeDetails(path: string, details: EvaluationDetails): void {
  replaceText(path, `${JSON.stringify(details)}\n`);
}

const fail: Fail = (message, cause) => new EvaluationError("ERR_EVAL_FILE", message, { cause });

/**
 * Reads what {@link writeDetails} wrote.
 * @throws EvaluationError `ERR_EVAL_FILE` for a file that cannot be read, is damaged, or is of another version; runs of
 * versions before these details wrote the figures alone, without a version
 */
export function readDetails(path: string): EvaluationDetails {
  const content = readJson(path, fail);
  const version = content instanceof Object && "version" in content ? content.version : undefined;
  if (version !== detailsVersion)
    throw fail(
      `Expected an evaluation of version ${detailsVersion} in ${path} but received ${
        version === undefined ? "one without a version, from before there were details" : `version ${version}`
      }: evaluate the weights again with this program`,
    );
  const fault = schemaFault(detailsSchema, content);
  if (fault !== null) throw fail(`Expected an evaluation in ${path} but it is damaged: ${fault}`);
  return content as EvaluationDetails;
}

import * as z from "zod";

import type { MoveResult } from "../../../contract/move.ts";
import { copyMethod, shardNumber, text, wholeNumber, yesNo } from "../../config/values.ts";
import { bytes, count, duration } from "../../format.ts";
import { type Action, withDsns, withExample, withReplication } from "../action.ts";
import { runWorkflow } from "../run-workflow.ts";

const options = z.object({
  shard: shardNumber,
  to: text,
  from: text.optional(),
  activateOnDestination: yesNo,
  maxWriteBlockMs: wholeNumber(1, 600_000).optional(),
  wait: yesNo.optional(),
  validateFks: yesNo.optional(),
  copyMethod: copyMethod.optional(),
});

export const move: Action = {
  define(command) {
    command
      .option("--shard <n>", "number of the shard")
      .option(
        "--to <island>",
        "where it goes: a DSN, or the beginning of an island's name that fits no other",
      )
      .option("--from <island>", "where it is; found out if left out")
      .option("--activate-on-destination <yes|no>", "no: a rehearsal that leaves a copy on the destination")
      .option(
        "--max-write-block-ms <ms>",
        "longest time that one attempt of the switch blocks writers (default 3000)",
      );
    withReplication(command)
      .option(
        "--deactivate-sql <sql>",
        "run for each table of the old copy, whose name is $1 (DEACTIVATE_SQL)",
      )
      .option("--copy-method <method>", "auto, tablesync or direct: how rows are copied");
    withDsns(command);
    withExample(
      command,
      "shardferry move --shard=42 --to=host2 --activate-on-destination=yes --dsns=host1,host2",
    );
  },

  async run({ ui, request }) {
    const { settings, request: given } = await request(options);
    const { move: startMove } = await import("../../operations/move.ts");
    await runWorkflow<MoveResult>(ui, settings, (open) => startMove(open, settings, given), moveSummary);
  },
};

/** What a move has done. */
export function moveSummary(result: MoveResult): string {
  const { schema, from, to, activated, leftover, rows, bytes: size, durationMs, writeBlockedMs } = result;
  const amount = `${count(rows)} rows, ${bytes(size)} in ${duration(durationMs)}`;
  if (!activated) {
    return `Rehearsed ${schema} from ${from} to ${to}: ${amount}. Nothing was switched; the copy is ${leftover} on ${to}, until \`shardferry cleanup\` drops it.`;
  }
  const old = leftover
    ? ` The old copy is ${leftover} on ${from}, until \`shardferry cleanup\` drops it.`
    : "";
  return `Moved ${schema} from ${from} to ${to}: ${amount}; writers were blocked for ${Math.ceil(writeBlockedMs)} ms.${old}`;
}

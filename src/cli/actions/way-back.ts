import type { MoveResult } from "../../../contract/move.ts";
import type { WayBackResult } from "../../../contract/way-back.ts";
import { needed } from "../../config/option.ts";
import { ISLANDS, PLACES, ROLLBACK } from "../../config/options.ts";
import { FORCE } from "../../config/way-back-options.ts";
import { blockedFor, duration } from "../../format.ts";
import { defineAction } from "../action.ts";
import { runWorkflow } from "../run-workflow.ts";

export const rollback = defineAction({
  options: { ...ROLLBACK, ...ISLANDS },
  examples: ["shardferry rollback --shard=42 --dsns=host1,host2"],

  async run({ ui, load }) {
    const { settings, request } = await load();
    const { rollback: startRollback } = await import("../../operations/way-back.ts");
    await runWorkflow<MoveResult>(
      ui,
      settings,
      (open) => startRollback(open, settings, request),
      rollbackSummary,
    );
  },
});

export const finish = defineAction({
  options: { shard: needed(PLACES.shard), force: FORCE, ...ISLANDS },
  examples: [
    "shardferry finish --shard=42 --dsns=host1,host2",
    "shardferry finish --shard=42 --dsns=host1,host2 --force",
  ],

  async run({ ui, load }) {
    const { settings, request } = await load();
    const { finish: startFinish } = await import("../../operations/way-back.ts");
    await runWorkflow<WayBackResult>(
      ui,
      settings,
      (open) => startFinish(open, settings, request),
      wayBackSummary,
    );
  },
});

/** Describes the result of a rollback. */
export function rollbackSummary(result: MoveResult): string {
  const { schema, from, to, durationMs, writeBlocked, endedBlockers, verified, wayBack } = result;
  const compared = verified ? "every row compared" : "rows not compared";
  const blocked = [blockedFor(writeBlocked), ...endedBlockers].join("; ");
  const open = wayBack
    ? ` The way to ${from} is open in turn until ${new Date(wayBack.expiresAt).toISOString()}.`
    : "";
  return `${schema} has gone back from ${from} to ${to} in ${duration(durationMs)}, ${compared}; writers were blocked for ${blocked}.${open}`;
}

/** Describes how a way back has ended. */
export function wayBackSummary(result: WayBackResult): string {
  const { schema, from, to, end, reason, leftover, abandoned = [] } = result;
  const lost = abandoned.map(
    ({ island, left, reason: why }) =>
      ` ${island} was NOT cleaned (${why}). If it comes back, \`shardferry cleanup\` drops what is left there: ${left}.`,
  );
  if (lost.length > 0)
    return `The way back of ${schema} from ${from} to ${to} is closed by force: ${reason}.${lost.join("")}`;
  const copy = leftover
    ? ` The old copy is ${leftover} on ${to}, until \`shardferry cleanup\` drops it.`
    : "";
  return `The way back of ${schema} from ${from} to ${to} is closed (${end}): ${reason}.${copy}`;
}

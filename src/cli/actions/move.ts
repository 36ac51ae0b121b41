import type { MoveResult } from "../../../contract/move.ts";
import { ISLANDS, MOVE } from "../../config/options.ts";
import { blockedFor, bytes, count, duration, wereInTheWay } from "../../format.ts";
import { defineAction } from "../action.ts";
import { runWorkflow } from "../run-workflow.ts";

export const move = defineAction({
  options: { ...MOVE, ...ISLANDS },
  examples: [
    "shardferry move --shard=42 --to=host2 --activate-on-destination=yes --dsns=host1,host2",
    "shardferry move --shard=42 --to=host2 --activate-on-destination=no --rehearse-switch",
  ],

  async run({ ui, load }) {
    const { settings, request: given } = await load();
    const { move: startMove } = await import("../../operations/move.ts");
    await runWorkflow<MoveResult>(ui, settings, (open) => startMove(open, settings, given), moveSummary);
  },
});

type Amount = Pick<MoveResult, "rows" | "copiedBytes" | "sizeBytes" | "walKeptBytes" | "durationMs">;

/** `1,000 rows, 1.2 MiB on disk, 0.9 MiB copied in 2.31 s`. */
export function amountOf({ rows, copiedBytes, sizeBytes, walKeptBytes, durationMs }: Amount): string {
  // Runs of an earlier version do not tell the size.
  const size = sizeBytes ? `${bytes(sizeBytes)} on disk, ` : "";
  const wal = walKeptBytes ? `; the source kept up to ${bytes(walKeptBytes)} of WAL` : "";
  return `${count(rows)} rows, ${size}${bytes(copiedBytes)} copied in ${duration(durationMs)}${wal}`;
}

/** Describes the result of a move. */
export function moveSummary(result: MoveResult): string {
  const {
    schema,
    from,
    to,
    activated,
    leftover,
    rows,
    bytes: copiedBytes,
    sizeBytes,
    walKeptBytes,
    durationMs,
    writeBlocked,
    endedBlockers,
    blockers,
    verified,
  } = result;
  const amount = `${amountOf({ rows, copiedBytes, sizeBytes, walKeptBytes, durationMs })}, ${verified ? "every row compared" : "rows not compared"}`;
  if (!activated) {
    const rehearsed = blockers
      ? `; rehearsing the switch blocked writers for ${[blockedFor(writeBlocked), ...endedBlockers, ...wereInTheWay(blockers)].join("; ")}`
      : "";
    return `Rehearsed ${schema} from ${from} to ${to}: ${amount}${rehearsed}. Nothing was switched; the copy is ${leftover} on ${to}, until \`shardferry cleanup\` drops it.`;
  }
  const { wayBack } = result;
  const old = leftover
    ? wayBack
      ? ` The way back to ${from} is open until ${new Date(wayBack.expiresAt).toISOString()}, as long as a worker runs (\`shardferry worker\`): \`shardferry rollback\` or \`shardferry finish\`.`
      : ` The old copy is ${leftover} on ${from}, until \`shardferry cleanup\` drops it.`
    : "";
  return `Moved ${schema} from ${from} to ${to}: ${amount}; writers were blocked for ${[blockedFor(writeBlocked), ...endedBlockers].join("; ")}.${old}`;
}

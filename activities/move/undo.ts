import type { StepReport } from "../../contract/progress.ts";
import { ShardferryError } from "../../src/errors.ts";
import { dropCachedDump } from "../../src/postgres/schema/dump.ts";
import { hasLeft } from "./parts/book.ts";
import { dropReplication } from "./parts/drop-replication.ts";
import { dropOwnCopy } from "./parts/half-made-copy.ts";
import { releaseShard } from "./parts/shard-lease.ts";
import type { MoveStep } from "./parts/step.ts";

/** Undoing a move whose source has left would destroy the only copy that is up to date. */
class AlreadySwitchedError extends ShardferryError {
  constructor(step: MoveStep) {
    super(
      "already_switched",
      `"${step.schema}" has left ${step.from}: its move can only be finished, not undone`,
    );
  }
}

/** The compensation of `subscribe`. */
export async function undoReplication(step: MoveStep): Promise<StepReport> {
  await step.endOrphans(step.from);
  await ensureNotLeft(step);
  return dropReplication(step);
}

/** To be asked after the sessions of a switch are ended: until then one of them may be about to commit. */
async function ensureNotLeft(step: MoveStep): Promise<void> {
  if (step.input.kind === "move" && (await hasLeft(step))) throw new AlreadySwitchedError(step);
}

/** The compensation of `create structure`. */
export async function dropStructure(step: MoveStep): Promise<StepReport> {
  await Promise.all([step.endOrphans(step.from), step.endOrphans(step.to)]);
  await ensureNotLeft(step);
  await releaseShard(step);
  const dropped = await step.session(step.to, {}, (client) => dropOwnCopy(step, client));
  await dropCachedDump(step.attempt.runId);
  return { text: dropped ? `dropped the half-made copy on ${step.to}` : `no half-made copy on ${step.to}` };
}

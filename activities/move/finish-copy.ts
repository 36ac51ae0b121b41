import type { SwitchReport } from "../../contract/move.ts";
import { COPY_SETTINGS } from "../../src/postgres/islands/session-settings.ts";
import { ident, literal } from "../../src/postgres/quote.ts";
import { runOfMark } from "../../src/postgres/replication/names.ts";
import { ensureDurable } from "../../src/postgres/replication/position.ts";
import { copyName } from "../../src/postgres/schema/copy-names.ts";
import { findCopyName } from "../../src/postgres/schema/free-copy-name.ts";
import { readSchema } from "../../src/postgres/schema/tables.ts";
import { readSequenceValues, setSequences } from "../../src/sequences/hand-over.ts";
import { catchUpWith } from "./parts/caught-up.ts";
import { completeSchema } from "./parts/complete-schema.ts";
import { copyLocked } from "./parts/copy-locked.ts";
import { dropReplication } from "./parts/drop-replication.ts";
import { ensureNotFailedOver, ensurePublished, ensureReplicated } from "./parts/guards.ts";
import { CopyGoneError } from "./parts/half-made-copy.ts";
import { refreshViews } from "./parts/refresh-views.ts";
import { readFacts } from "./parts/source-facts.ts";
import type { MoveStep } from "./parts/step.ts";
import { ensureUnchanged } from "./parts/structure.ts";
import { isSubscribed } from "./parts/subscription.ts";

/** Added to the mark of a copy that no longer needs its subscription: a later attempt continues from there. */
const IN_STEP = "; in step";

/**
 * Ends a copy, or a rehearsal of a move: brings the destination in step one last time, ends the replication,
 * and completes the schema with sequences, triggers and comment. The copy of a rehearsal is renamed.
 */
export async function finishCopy(step: MoveStep): Promise<SwitchReport> {
  const rehearsal = step.input.kind === "move";
  let leftover: string | null = null;
  await Promise.all([step.endOrphans(step.from), step.endOrphans(step.to)]);
  // In a session of its own: the prepared statement that reads the sequences has a different text for each schema.
  const reading = { settings: { ...COPY_SETTINGS, synchronous_commit: "local" }, reuse: false };
  await step.bothSides(reading, { settings: COPY_SETTINGS }, async (source, destination) => {
    await Promise.all([step.attempt.ensureCurrent(), ensureDurable(destination)]);
    await ensureNotFailedOver(step, destination);
    const { comment } = await readSchema(destination, step.schema);
    const name = rehearsal
      ? await findCopyName(destination, step.schema, "new", step.attempt.scheduledAt)
      : null;
    if (runOfMark(comment, step.attempt.workflowId) !== step.attempt.runId) {
      // Without a subscription, an earlier attempt, which ends the replication first, has finished; its result was lost.
      const ended = step.attempt.number > 1 && !(await isSubscribed(step));
      if (!ended) throw new CopyGoneError(step);
      leftover = name && (name.taken ?? copyName(step.schema, "new", step.attempt.scheduledAt));
      return;
    }
    leftover = name && name.free;
    const facts = await step.attempt.reading(step.from, () => readFacts(step, source, step.schema));
    if (!comment?.endsWith(IN_STEP)) {
      await ensureUnchanged(step, source);
      await refreshViews(step, step.input.views ?? {}, source, destination);
      await catchUpWith(step, source, destination);
      await ensurePublished(step, facts, source);
      await ensureReplicated(step, facts, destination);
      const inStep = literal(`${comment}${IN_STEP}`);
      await destination.query(`COMMENT ON SCHEMA ${ident(step.schema)} IS ${inStep}`);
    }
    await dropReplication(step);
    const values = await readSequenceValues(source, step.schema, facts.sequences);
    await destination.query("BEGIN");
    await copyLocked(step, facts, source, destination, step.schema);
    const sql = [setSequences(step.schema, values), ...completeSchema(step, facts)];
    if (leftover) sql.push(`ALTER SCHEMA ${ident(step.schema)} RENAME TO ${ident(leftover)}`);
    await destination.query([...sql, "COMMIT"].join(";\n"));
  });
  const text = `"${leftover ?? step.schema}" on ${step.to} is complete`;
  const writeBlocked = { attempts: 0, longestMs: 0, totalMs: 0, atMost: false };
  return { text, writeBlockedMs: 0, writeBlocked, endedBlockers: [], leftover, copied: step.copiedUnderLock };
}

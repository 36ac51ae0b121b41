import type { StepReport } from "../../contract/progress.ts";
import { ensureNotLeft } from "./parts/book.ts";
import { dropReplication } from "./parts/drop-replication.ts";
import { createSlot, publicationReport, publishedTables, publishTables } from "./parts/publication.ts";
import type { MoveStep } from "./parts/step.ts";
import { createSubscription } from "./parts/subscription.ts";

/**
 * Creates the publication, and for PostgreSQL's own tablesync the slot and the subscription, which starts
 * copying. A direct copy creates its slot itself, since it reads from the slot's snapshot.
 */
export async function subscribe(step: MoveStep): Promise<StepReport> {
  await step.endOrphans(step.from);
  const tables = await publishedTables(step);
  const done = [await publishTables(step, tables)];
  if (step.input.plan.copyMethod === "tablesync") {
    done.push(await createSlot(step), await createSubscription(step, tables, true));
  }
  return publicationReport(step, tables, done);
}

/** Undoes `subscribe`. */
export async function undoSubscribe(step: MoveStep): Promise<StepReport> {
  await step.endOrphans(step.from);
  await ensureNotLeft(step);
  return dropReplication(step);
}

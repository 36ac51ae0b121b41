import type { StepReport } from "../../contract/progress.ts";
import { createSlot, publicationReport, publishedTables, publishTables } from "../move/parts/publication.ts";
import { leaseShard } from "../move/parts/shard-lease.ts";
import type { MoveStep } from "../move/parts/step.ts";

/**
 * Creates publication and slot where the shard will be. This comes before the switch, since the creation of a slot waits
 * for every transaction that is open there. What the slot has to send begins with the switch; see recordArrivalSql.
 */
export async function prepareWayBack(step: MoveStep): Promise<StepReport> {
  await step.endOrphans(step.from);
  await leaseShard(step);
  const tables = await publishedTables(step);
  const done = [await publishTables(step, tables), await createSlot(step)];
  const report = publicationReport(step, tables, done);
  return { ...report, text: `${report.text} for the way back` };
}

import type { StepReport } from "../../contract/progress.ts";
import { plural, shorten } from "../../src/format.ts";
import { leaseShard } from "../move/parts/shard-lease.ts";
import type { MoveStep } from "../move/parts/step.ts";
import { publishedTables } from "../move/parts/subscription.ts";
import { createSlot, publishTables } from "../move/subscribe.ts";

/**
 * Creates publication and slot where the shard will be. Before the switch, since the slot waits for every transaction that
 * is open there. What it has to send begins with the switch; see recordArrivalSql.
 */
export async function prepareWayBack(step: MoveStep): Promise<StepReport> {
  await step.endOrphans(step.from);
  await leaseShard(step);
  const tables = await publishedTables(step);
  const done = [await publishTables(step, tables), await createSlot(step)];
  const sql = done.filter((statement) => statement !== null).map((statement) => shorten(statement));
  return { text: `published ${plural(tables.length, "table")} on ${step.from} for the way back`, sql };
}

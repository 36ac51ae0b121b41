import { Argument } from "commander";

import type { MigrateResult } from "../../../contract/migrate.ts";
import type { CopyResult, MoveResult } from "../../../contract/move.ts";
import { REBALANCE_WORKFLOW_ID } from "../../../contract/names.ts";
import type { VerifyResult } from "../../../contract/verify.ts";
import { ISLANDS } from "../../config/options.ts";
import { EXIT, UsageError } from "../../errors.ts";
import type { RebalanceResult } from "../../watch/rebalance-result.ts";
import { defineAction } from "../action.ts";
import { runWorkflow } from "../run-workflow.ts";
import { copySummary } from "./copy.ts";
import { migrateSummary } from "./migrate.ts";
import { moveSummary } from "./move.ts";
import { rebalanceStatus, rebalanceSummary } from "./rebalance.ts";
import { verifySummary } from "./verify.ts";

export const attach = defineAction({
  options: ISLANDS,
  arguments: [
    new Argument(
      "[workflow-id]",
      "the workflow to watch, running or ended; needed only if several are running",
    ),
  ],
  examples: ["shardferry attach move-sh0042"],

  async run({ ui, args, load }) {
    const { settings: loaded } = await load();
    const { attach: attachTo, nothingRuns } = await import("../../operations/steer.ts");
    const { Session } = await import("../../worker/session.ts");
    // Starting a server only to find nothing on it would be pointless.
    if (!(await Session.mayFind(loaded))) throw nothingRuns("attach", args[0]);
    const result = await runWorkflow(
      ui,
      loaded,
      async (open) => {
        const session = await open();
        const watch = await attachTo(session.temporal, args[0]);
        if (
          watch.endedAt === null &&
          session.temporal.target.embedded &&
          loaded.dsns.length === 0 &&
          !session.hasEmbeddedWorker
        ) {
          throw new UsageError(
            "No worker is running for this workflow: give --dsns (or DSNS), so that this command can do the work.",
          );
        }
        if (loaded.dsns.length > 0) session.work(loaded.dsns);
        return watch;
      },
      summary,
    );
    return isRebalance(result) ? rebalanceStatus(result) : EXIT.done;
  },
});

const isRebalance = (result: unknown): result is RebalanceResult =>
  (result as Partial<RebalanceResult> | null)?.workflowId === REBALANCE_WORKFLOW_ID;

/** Returns the same line as the command that started the workflow; the workflow id says which command that was. */
function summary(result: unknown): string {
  if (isRebalance(result)) return rebalanceSummary(result);
  const { workflowId = "" } = (result ?? {}) as { workflowId?: string };
  if (workflowId.startsWith("move-")) return moveSummary(result as MoveResult);
  if (workflowId.startsWith("copy-")) return copySummary(result as CopyResult);
  if (workflowId.startsWith("verify-")) return verifySummary(result as VerifyResult);
  if (workflowId.startsWith("migrate-")) return migrateSummary(result as MigrateResult);
  return "Done.";
}

import { Context } from "@temporalio/activity";

import type { Preflight } from "../../contract/move.ts";
import { RefusedError } from "../../src/errors.ts";
import { inspect, type PreflightInput } from "../../src/preflight/inspect.ts";
import { ActivityAttempt, type Deps } from "../attempt/attempt.ts";

/** Finds every reason to refuse before anything is created, and decides how the rows are copied. */
export async function preflight(deps: Deps, input: PreflightInput): Promise<Preflight> {
  const context = Context.current();
  const attempt = new ActivityAttempt(deps);
  const { workflowId } = context.info.workflowExecution!;
  const { problems, plan } = await inspect(deps.islands, input, workflowId, {
    checked: () => context.heartbeat(),
    isOver: (runId) => attempt.isOver(runId),
    pgOptions: deps.pgOptions,
  });
  if (problems.length > 0) throw new RefusedError(problems);
  return plan!;
}

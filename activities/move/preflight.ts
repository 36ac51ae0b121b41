import type { Preflight } from "../../contract/move.ts";
import { RefusedError } from "../../src/errors.ts";
import { inspect, type PreflightInput } from "../../src/preflight/inspect.ts";
import { told } from "../../src/preflight/some.ts";
import { ActivityAttempt, type Deps } from "../attempt/attempt.ts";

/** Finds every reason to refuse before anything is created, and decides how the rows are copied. */
export async function preflight(deps: Deps, input: PreflightInput): Promise<Preflight> {
  const attempt = new ActivityAttempt(deps);
  const { problems, plan } = await inspect(deps.islands, input, attempt.workflowId, {
    checked: () => attempt.beat({}),
    isOver: (runId) => attempt.isOver(runId),
    pgOptions: deps.pgOptions,
  });
  if (problems.length > 0) throw new RefusedError(told(problems.map(({ text }) => text)));
  return plan!;
}

import type { ClientBase } from "pg";

import type { Preflight } from "../../contract/move.ts";
import type { StepProgress } from "../../contract/progress.ts";
import { allEnd } from "../../src/all-end.ts";
import { RefusedError } from "../../src/errors.ts";
import { inspect, type PreflightInput } from "../../src/preflight/inspect.ts";
import { told } from "../../src/preflight/some.ts";
import { ActivityAttempt, type Deps } from "../attempt/attempt.ts";

/** Finds every reason to refuse before anything is created, and decides how the rows are copied. */
export async function preflight(deps: Deps, input: PreflightInput): Promise<Preflight> {
  const attempt = new ActivityAttempt(deps);
  const { from, to } = input.request;
  // With thousands of tables, a single check may take seconds.
  const look = async (source: ClientBase): Promise<StepProgress> => {
    await deps.islands.withLook(to, (destination) =>
      allEnd([source.query("SELECT"), destination.query("SELECT")]),
    );
    return {};
  };
  const { problems, plan } = await attempt.watched(from, look, () =>
    inspect(deps.islands, input, attempt.workflowId, {
      checked: () => attempt.beat({}),
      isOver: (runId) => attempt.isOver(runId),
      pgOptions: deps.pgOptions,
    }),
  );
  if (problems.length > 0) throw new RefusedError(told(problems));
  return plan!;
}

import { CancellationScope, workflowInfo } from "@temporalio/workflow";

import type { CopyInput, CopyResult } from "../contract/move.ts";
import { quick, switching } from "./proxies.ts";
import { orUndo, replicate } from "./replicate.ts";
import { Steering } from "./steering.ts";

/** Copies a schema to another island and keeps it in step until confirmed; switches nothing. */
export async function copy(input: CopyInput): Promise<CopyResult> {
  const steering = new Steering(input);

  const { step, rows, bytes, finished } = await orUndo(steering, async (undo) => {
    const replica = await replicate("copy", input, null, steering, undo);
    if (input.wait) {
      await steering.confirmation(
        "confirmation to end the replication (confirm): you may now stop the writes on the source and reroute them",
        () => quick["keep lease"](replica.step),
      );
    }
    steering.enter("lock and switch");
    return { ...replica, finished: await switching["finish copy"](replica.step) };
  });

  return CancellationScope.nonCancellable(async () => {
    steering.tell(finished);
    steering.enter("clean up");
    steering.tell(await quick["clean up"]({ ...step, deactivateSql: null, leftover: null }));
    steering.phase("done");
    const { workflowId, runId, startTime } = workflowInfo();
    const { schema, from, to } = input;
    return { workflowId, runId, schema, from, to, rows, bytes, durationMs: Date.now() - startTime.getTime() };
  });
}

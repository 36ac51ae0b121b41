import { CancellationScope, workflowInfo } from "@temporalio/workflow";

import { quick, switching } from "./activities.ts";
import type { MoveInput, MoveResult, ReplicationInput } from "./contract.ts";
import { orUndo, replicate } from "./replicate.ts";
import { Steering } from "./steering.ts";

/** The part of a move's input that its replication needs. */
function replicationOf(input: MoveInput): ReplicationInput {
  const { schema, from, to, wait, validateFks, maxReplicationLagSec, copyMethod } = input;
  return { schema, from, to, wait, validateFks, maxReplicationLagSec, copyMethod };
}

/** Moves a shard to another island: replicate, then lock and switch, then clean up. */
export async function move(input: MoveInput): Promise<MoveResult> {
  const steering = new Steering(input);
  const { shard, activateOnDestination, deactivateSql } = input;

  const { step, rows, bytes, switched } = await orUndo(steering, async (undo) => {
    const replica = await replicate("move", replicationOf(input), shard, steering, undo);
    if (input.wait) await steering.confirmation("confirmation to switch (confirm)");

    steering.enter("lock and switch");
    // May be cancelled until its point of no return; decides by itself and says what became of it.
    const switched = activateOnDestination
      ? await switching["lock and switch"]({ ...replica.step, move: input })
      : await switching["finish copy"](replica.step);
    return { ...replica, switched };
  });

  // The point of no return is behind: forward only, whatever is cancelled.
  return CancellationScope.nonCancellable(async () => {
    steering.tell(switched);
    steering.enter("clean up");
    const leftover = activateOnDestination ? switched.leftover : null;
    steering.tell(
      await quick["clean up"]({ ...step, deactivateSql: leftover ? deactivateSql : null, leftover }),
    );
    steering.phase("done");
    const { workflowId, runId, startTime } = workflowInfo();
    return {
      workflowId,
      runId,
      schema: input.schema,
      from: input.from,
      to: input.to,
      activated: activateOnDestination,
      leftover: switched.leftover,
      rows,
      bytes,
      durationMs: Date.now() - startTime.getTime(),
      writeBlockedMs: switched.writeBlockedMs,
    };
  });
}

import { CancellationScope, workflowInfo } from "@temporalio/workflow";

import type { MoveInput, MoveResult, ReplicationInput, SwitchInput, SwitchReport } from "../contract/move.ts";
import { quick, switching } from "./proxies.ts";
import { orUndo, replicate, waitForLag } from "./replicate.ts";
import { Steering } from "./steering.ts";

/** The part of a move's input that its replication needs. */
function replicationOf(input: MoveInput): ReplicationInput {
  const { schema, from, to, wait, validateFks, maxReplicationLagSec, copyMethod } = input;
  return { schema, from, to, wait, validateFks, maxReplicationLagSec, copyMethod };
}

/**
 * The switch may be aborted until its point of no return. Temporal does not repeat a step whose
 * cancellation was asked for, nor one that failed for good, so whether that point was passed is looked up
 * where no cancellation reaches: only a move whose source has not left may be undone.
 */
async function lockAndSwitch(input: SwitchInput): Promise<SwitchReport> {
  try {
    return await switching["lock and switch"](input);
  } catch (error) {
    const settled = await CancellationScope.nonCancellable(() => switching["settle switch"](input));
    if (settled) return settled;
    throw error;
  }
}

/** Moves a shard to another island: replicate, then lock and switch, then clean up. */
export async function move(input: MoveInput): Promise<MoveResult> {
  const steering = new Steering(input);
  const { shard, activateOnDestination, deactivateSql } = input;

  const { step, rows, bytes, switched } = await orUndo(steering, async (undo) => {
    const replica = await replicate("move", replicationOf(input), shard, steering, undo);
    if (input.wait) {
      await steering.confirmation("confirmation to switch (confirm)", () =>
        quick["keep lease"](replica.step),
      );
      // The pause may have taken days.
      await waitForLag(replica.step, steering, true);
    }

    steering.enter("lock and switch");
    const switched = activateOnDestination
      ? await lockAndSwitch({ ...replica.step, move: input })
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

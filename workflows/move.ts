import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  CancelledFailure,
  TimeoutFailure,
  workflowInfo,
} from "@temporalio/workflow";

import type { MoveInput, MoveResult, ReplicationInput, SwitchInput, SwitchReport } from "../contract/move.ts";
import type { BlockedSoFar, StepProgress, WriteBlock } from "../contract/progress.ts";
import { type Ending, type Operation, recorded } from "./history.ts";
import { Protocol } from "./protocol.ts";
import { quick, urgent } from "./proxies.ts";
import {
  type Amount,
  changingOf,
  type Replica,
  replicate,
  unlessDiffering,
  verifiedOf,
  waitForLag,
  withLocked,
} from "./replicate.ts";
import { Steering } from "./steering.ts";
import { WalGuard } from "./wal-guard.ts";

/** Moves a shard to another island, and writes that into the history of both. */
export async function move(input: MoveInput): Promise<MoveResult> {
  const protocol = new Protocol(new Steering(input));
  return recorded(protocol.steering, operationOf(input), () => moveShard(protocol, input), endingOf);
}

/** Replicates the shard, then locks and switches it, then cleans up. */
async function moveShard(protocol: Protocol, input: MoveInput): Promise<MoveResult> {
  const { shard, activateOnDestination: activate } = input;

  const wal = new WalGuard();

  const forward = async (): Promise<{ replica: Replica; switched: SwitchReport }> => {
    const replica = await replicate(protocol, wal, "move", replicationOf(input), shard, endsBlockers(input));
    if (input.wait) {
      const keepLease = (): Promise<void> => quick["keep lease"](replica.input);
      await protocol.steering.confirmation("confirmation to switch (confirm)", keepLease);
      // The pause may have taken days.
      await waitForLag(protocol, replica.input, { subscription: true });
    }
    const switched = await unlessDiffering(protocol, replica.input, () =>
      protocol.step("lock and switch", () =>
        activate
          ? lockAndSwitch(protocol.steering, { ...replica.input, move: input, ...changingOf(replica) })
          : urgent["finish copy"](replica.input),
      ),
    );
    protocol.steering.switched(switched.writeBlocked ?? null);
    return { replica, switched };
  };
  const { replica, switched } = await protocol.orUndo(() => wal.guard(forward));

  // Past the point of no return: only forward, whatever is cancelled.
  return CancellationScope.nonCancellable(async () => {
    const leftover = activate ? switched.leftover : null;
    const deactivateSql = leftover ? input.deactivateSql : null;
    await protocol.step("clean up", () => quick["clean up"]({ ...replica.input, deactivateSql, leftover }));
    protocol.steering.phase("done");
    const { walKeptBytes } = protocol.steering;
    const amount = { ...withLocked(replica.amount, switched), walKeptBytes };
    return resultOf(input, amount, verifiedOf(replica, activate), switched);
  });
}

/** Picks the part of a move's input that its replication needs. */
function replicationOf(input: MoveInput): ReplicationInput {
  const { schema, from, to, wait, validateFks, maxReplicationLagSec, copyMethod, maxWalBytes, verify } =
    input;
  return { schema, from, to, wait, validateFks, maxReplicationLagSec, copyMethod, maxWalBytes, verify };
}

const endsBlockers = ({ cancelBlockersAfterMs, terminateBlockersAfterMs }: MoveInput): boolean =>
  Boolean(cancelBlockersAfterMs ?? terminateBlockersAfterMs);

/**
 * The switch may be aborted until its point of no return. Temporal does not retry a step whose
 * cancellation was requested, nor one that failed for good, so whether that point has been passed is looked up
 * where no cancellation reaches: only a move whose shard has not left the source may be undone.
 */
async function lockAndSwitch(steering: Steering, input: SwitchInput): Promise<SwitchReport> {
  try {
    return await urgent["lock and switch"](input);
  } catch (error) {
    const blocked = blockedBefore(error);
    if (blocked) steering.switched(costOf(blocked));
    const settled = await CancellationScope.nonCancellable(() =>
      urgent["settle switch"]({ ...input, blocked }),
    );
    if (settled) return settled;
    throw error;
  }
}

function operationOf({ schema, from, to, activateOnDestination, startedBy }: MoveInput): Operation {
  const kind = activateOnDestination ? "move" : "rehearsal";
  return { kind, name: schema, schemas: [schema], islands: [from, to], from, to, startedBy };
}

function endingOf(result: MoveResult): Ending {
  const { sizeBytes, copiedBytes, rows, activated, verified } = result;
  const writeBlocked = activated ? result.writeBlocked : null;
  return { outcome: activated ? "moved" : "rehearsed", sizeBytes, copiedBytes, rows, writeBlocked, verified };
}

/**
 * The last report of a switch that is not retried: after the death of its worker, because the move is being aborted, or
 * after a failure.
 */
function blockedBefore(error: unknown): BlockedSoFar | undefined {
  const cause = error instanceof ActivityFailure ? error.cause : undefined;
  if (cause instanceof TimeoutFailure)
    return (cause.lastHeartbeatDetails as StepProgress | undefined)?.blocked;
  if (!(cause instanceof ApplicationFailure || cause instanceof CancelledFailure)) return undefined;
  return (cause.details?.[0] as StepProgress | undefined)?.blocked;
}

const costOf = ({ attempts, longestMs, totalMs, atMost }: BlockedSoFar): WriteBlock => ({
  attempts,
  longestMs,
  totalMs,
  atMost,
});

function resultOf(
  { schema, from, to, activateOnDestination }: MoveInput,
  amount: Amount & Pick<MoveResult, "walKeptBytes">,
  verified: MoveResult["verified"],
  { leftover, writeBlockedMs, writeBlocked, endedBlockers = [] }: SwitchReport,
): MoveResult {
  const once = { attempts: 1, longestMs: writeBlockedMs, totalMs: writeBlockedMs, atMost: false };
  const { workflowId, runId, startTime } = workflowInfo();
  return {
    workflowId,
    runId,
    schema,
    from,
    to,
    activated: activateOnDestination,
    leftover,
    ...amount,
    durationMs: Date.now() - startTime.getTime(),
    writeBlockedMs,
    writeBlocked: writeBlocked ?? once,
    endedBlockers,
    verified,
  };
}

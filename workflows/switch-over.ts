import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  CancelledFailure,
  TimeoutFailure,
  workflowInfo,
} from "@temporalio/workflow";

import type { MoveInput, MoveResult, SwitchInput, SwitchReport } from "../contract/move.ts";
import type { BlockedSoFar, StepProgress, WriteBlock } from "../contract/progress.ts";
import type { Protocol } from "./protocol.ts";
import { quick, urgent } from "./proxies.ts";
import {
  changingOf,
  type Replica,
  unlessDiffering,
  verifiedOf,
  waitForLag,
  withLocked,
} from "./replicate.ts";
import type { Steering } from "./steering.ts";
import { type Returning, WayAhead } from "./way-ahead.ts";

/** A shard that has been switched. */
export interface Switched {
  replica: Replica;
  report: SwitchReport;
  /** The way back that is prepared; null if there is to be none. */
  ahead: WayAhead | null;
}

/** Switches a shard to a replica in step: the common part of a move and a rollback, up to the point of no return. */
export async function switchOver(
  protocol: Protocol,
  input: MoveInput,
  replica: Replica,
  returning: Returning | null,
): Promise<Switched> {
  if (input.wait) {
    const keepLease = (): Promise<void> => quick["keep lease"](replica.input);
    await protocol.steering.confirmation("confirmation to switch (confirm)", keepLease);
    // The pause may have taken days.
    await waitForLag(protocol, replica.input, { subscription: true });
  }
  // As late as possible: from here on, WAL is kept for it.
  const ahead = returning && (await WayAhead.prepare(protocol, input, replica.input.plan, returning));
  const report = await unlessDiffering(protocol, replica.input, () =>
    protocol.step("lock and switch", () => {
      ahead?.ensureOpen();
      return input.activateOnDestination
        ? lockAndSwitch(protocol.steering, switchInput(input, replica))
        : finishRehearsal(protocol.steering, input, replica);
    }),
  );
  protocol.steering.switched(report.writeBlocked ?? null);
  return { replica, report, ahead };
}

const switchInput = (move: MoveInput, replica: Replica): SwitchInput => ({
  ...replica.input,
  move,
  ...changingOf(replica),
});

/** Ends a rehearsal: completes the copy, after the rehearsal of the switch if there is to be one. */
async function finishRehearsal(
  steering: Steering,
  input: MoveInput,
  replica: Replica,
): Promise<SwitchReport> {
  if (!input.rehearseSwitch) return urgent["finish copy"](replica.input);
  const rehearsed = await lockAndSwitch(steering, switchInput(input, replica));
  steering.tell(rehearsed);
  steering.switched(rehearsed.writeBlocked ?? null);
  const { text, leftover, copied } = await urgent["finish copy"](replica.input);
  return { ...rehearsed, text, leftover, copied };
}

/** What remains to be done past the point of no return: only forward, whatever is cancelled. */
export function completeMove(protocol: Protocol, input: MoveInput, switched: Switched): Promise<MoveResult> {
  const { replica, report, ahead } = switched;
  return CancellationScope.nonCancellable(async () => {
    const leftover = input.activateOnDestination ? report.leftover : null;
    // As long as the way back is open, the old copy is in use.
    const deactivateSql = leftover && !ahead ? input.deactivateSql : null;
    await protocol.step("clean up", () => quick["clean up"]({ ...replica.input, deactivateSql, leftover }));
    const wayBack =
      leftover && ahead ? await ahead.arrived(protocol, leftover, report.fingerprint ?? "") : undefined;
    protocol.steering.phase("done");
    const result = resultOf(protocol, input, switched);
    return wayBack ? { ...result, wayBack } : result;
  });
}

/**
 * The switch may be aborted until its point of no return. Temporal does not retry a step whose
 * cancellation was requested, nor one that failed for good, so whether that point has been passed is looked up
 * where no cancellation reaches: only a move whose shard has not left the source may be undone.
 */
async function lockAndSwitch(steering: Steering, input: SwitchInput): Promise<SwitchReport> {
  const activity = input.move.activateOnDestination ? "lock and switch" : "rehearse switch";
  try {
    return await urgent[activity](input);
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
  { steering: { walKeptBytes } }: Protocol,
  { schema, from, to, activateOnDestination, rehearseSwitch }: MoveInput,
  { replica, report }: Switched,
): MoveResult {
  const { leftover, writeBlockedMs, writeBlocked, endedBlockers = [], blockers } = report;
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
    ...withLocked(replica.amount, report),
    walKeptBytes,
    durationMs: Date.now() - startTime.getTime(),
    writeBlockedMs,
    writeBlocked: writeBlocked ?? once,
    endedBlockers,
    blockers,
    verified: verifiedOf(replica, activateOnDestination || rehearseSwitch === true),
  };
}

import {
  CancellationScope,
  condition,
  getExternalWorkflowHandle,
  setHandler,
  workflowInfo,
} from "@temporalio/workflow";

import type { MoveResult } from "../contract/move.ts";
import type { StepReport } from "../contract/progress.ts";
import { type OpenWay, ROLLBACK_STEPS, type RollbackInput } from "../contract/way-back.ts";
import { type Ending, type Operation, recorded } from "./history.ts";
import { Protocol } from "./protocol.ts";
import { prove, type Replica } from "./replicate.ts";
import { described, rollbackBeginsSignal, rollbackEndsSignal, wayIsOpenSignal } from "./signals.ts";
import { Steering } from "./steering.ts";
import { completeMove, type Switched, switchOver } from "./switch-over.ts";
import type { Returning } from "./way-ahead.ts";

/**
 * Brings a shard back on the way that its move has left open: the replica is there and in step, so it is proven, locked and
 * switched. Until then an abort or a failure changes nothing: the shard stays where it is, and the way stays open.
 */
export async function rollback(input: RollbackInput): Promise<MoveResult> {
  const { schema, from, to, startedBy } = input;
  const undone = "aborted; the shard is where it was, and the way back is still open";
  const protocol = new Protocol(new Steering(input, ROLLBACK_STEPS), undone);
  const islands = [from, to];
  const operation: Operation = {
    kind: "rollback",
    name: schema,
    schemas: [schema],
    islands,
    from,
    to,
    startedBy,
  };
  return recorded(protocol.steering, operation, () => goBack(protocol, input), endingOf);
}

async function goBack(protocol: Protocol, input: RollbackInput): Promise<MoveResult> {
  const way = getExternalWorkflowHandle(input.wayBack.workflowId, input.wayBack.runId);
  const ended = async (back: boolean): Promise<StepReport> => {
    await way.signal(rollbackEndsSignal, back).catch(() => undefined);
    return { text: back ? "the way back has been used" : "the way back stays open" };
  };

  const forward = async (): Promise<Switched> => {
    let open: OpenWay | undefined;
    setHandler(wayIsOpenSignal, (told) => void (open = told), described("wayIsOpen"));
    const { workflowId, runId } = workflowInfo();
    const find = async (): Promise<StepReport> => {
      await way.signal(rollbackBeginsSignal, { workflowId, runId });
      protocol.steering.phase("running", `${input.wayBack.workflowId} to be open`);
      await condition(() => open !== undefined);
      return { text: `found the way back: ${input.wayBack.workflowId}` };
    };
    await protocol.step("find way back", find, { undo: () => ended(false) });
    const { input: step, expiresAt, turn } = open!;
    const replica: Replica = { input: step, amount: nothingCopied(step.plan.sizeBytes), verified: null };
    protocol.steering.plan(step.plan);
    replica.verified = await prove(protocol, step, input.verify);
    const returning: Returning = { turn: turn === 0 ? 1 : 0, expiresAt: () => expiresAt };
    return switchOver(protocol, input, replica, expiresAt > Date.now() ? returning : null);
  };
  const switched = await protocol.orUndo(forward);
  const result = await completeMove(protocol, input, switched);
  await CancellationScope.nonCancellable(() => ended(true));
  return result;
}

const endingOf = ({ sizeBytes, writeBlocked, verified }: MoveResult): Ending => ({
  outcome: "returned",
  sizeBytes,
  writeBlocked,
  verified,
});

const nothingCopied = (sizeBytes = 0): Replica["amount"] => ({
  rows: 0,
  bytes: 0,
  copiedBytes: 0,
  sizeBytes,
});

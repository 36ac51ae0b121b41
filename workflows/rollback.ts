import {
  ApplicationFailure,
  CancellationScope,
  condition,
  type ExternalWorkflowHandle,
  getExternalWorkflowHandle,
  setHandler,
  workflowInfo,
} from "@temporalio/workflow";

import type { MoveResult, StepInput } from "../contract/move.ts";
import type { StepReport } from "../contract/progress.ts";
import { type OpenWay, ROLLBACK_STEPS, type RollbackInput, type WorkflowRun } from "../contract/way-back.ts";
import { type Ending, type Operation, recorded } from "./history.ts";
import { Protocol } from "./protocol.ts";
import { prove, type Replica } from "./replicate.ts";
import {
  described,
  rollbackBeginsSignal,
  rollbackEndsSignal,
  wayHasEndedSignal,
  wayIsOpenSignal,
} from "./signals.ts";
import { Steering } from "./steering.ts";
import { completeMove, type Switched, switchOver } from "./switch-over.ts";
import type { Returning } from "./way-ahead.ts";

/** How often to ask the way back again: it may have been terminated. */
const ASK_AGAIN = "1 minute";

/** How long to wait for the way back to end, which an unreachable server delays. */
const CLOSES_WITHIN = "10 seconds";

/**
 * Brings a shard back on the way that its move has left open: the replica is there and in step, so it is only proven, locked
 * and switched. Until then an abort or a failure changes nothing: the shard stays where it is, and the way stays open.
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
  const way = new WayTaken(input.wayBack);
  const forward = async (): Promise<Switched> => {
    const { input: found, expiresAt, turn } = await way.find(protocol);
    const { maxReplicationLagSec } = input;
    const step: StepInput = { ...found, request: { ...found.request, maxReplicationLagSec } };
    const replica: Replica = { input: step, amount: nothingCopied(step.plan.sizeBytes), verified: null };
    protocol.steering.plan(step.plan);
    replica.verified = await prove(protocol, step, input.verify);
    const returning: Returning = { turn: turn === 0 ? 1 : 0, expiresAt: () => expiresAt };
    return switchOver(protocol, input, replica, expiresAt > Date.now() ? returning : null);
  };
  const switched = await protocol.orUndo(() => way.guard(forward));
  const result = await completeMove(protocol, input, switched);
  await CancellationScope.nonCancellable(() => way.hasLedBack());
  return result;
}

/** The way back that a rollback takes. It is not closed until the rollback tells it that the rollback has ended. */
class WayTaken {
  readonly #run: WorkflowRun;
  readonly #steps = new CancellationScope();
  #open: OpenWay | undefined;
  #ended: string | undefined;

  constructor(run: WorkflowRun) {
    this.#run = run;
    setHandler(wayIsOpenSignal, (open) => void (this.#open = open), described("wayIsOpen"));
    setHandler(wayHasEndedSignal, (reason) => this.#end(reason), described("wayHasEnded"));
  }

  get #way(): ExternalWorkflowHandle {
    return getExternalWorkflowHandle(this.#run.workflowId, this.#run.runId);
  }

  #end(reason: string): void {
    this.#ended = reason;
    this.#steps.cancel();
  }

  /** Waits until it is open; throws if it has ended. */
  async find(protocol: Protocol): Promise<OpenWay> {
    const { workflowId, runId } = workflowInfo();
    const find = async (): Promise<StepReport> => {
      protocol.steering.phase("running", `${this.#run.workflowId} to be open`);
      do await this.#way.signal(rollbackBeginsSignal, { workflowId, runId });
      while (!(await condition(() => this.#open !== undefined, ASK_AGAIN)));
      return { text: `found the way back: ${this.#run.workflowId}` };
    };
    await protocol.step("find way back", find);
    return this.#open!;
  }

  /** Runs the steps up to the switch. The way is told of their failure before the undo, which may take long. */
  async guard<T>(steps: () => Promise<T>): Promise<T> {
    try {
      return await this.#steps.run(steps);
    } catch (error) {
      await CancellationScope.nonCancellable(() => this.#tell(false));
      if (this.#ended === undefined) throw error;
      const message = `there is no way back any more: ${this.#ended}; the shard stays where it is`;
      throw ApplicationFailure.create({ message, type: "no_way_back", nonRetryable: true });
    }
  }

  /** Lets the way end, so that the next command does not find it open. */
  async hasLedBack(): Promise<void> {
    await this.#tell(true);
    await condition(() => this.#ended !== undefined, CLOSES_WITHIN);
  }

  /** Tells that the rollback has ended, and whether the shard has gone back. */
  async #tell(back: boolean): Promise<void> {
    await this.#way.signal(rollbackEndsSignal, back).catch(() => undefined);
  }
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

import { WorkflowExecutionAlreadyStartedError } from "@temporalio/common";
import {
  ApplicationFailure,
  CancellationScope,
  condition,
  getExternalWorkflowHandle,
  patched,
  setHandler,
  sleep,
  startChild,
  workflowInfo,
} from "@temporalio/workflow";

import type { MoveInput, MoveResult, Preflight } from "../contract/move.ts";
import { REQUEST_MEMO, TASK_QUEUE } from "../contract/names.ts";
import type { StepReport } from "../contract/progress.ts";
import {
  type WayBackInput,
  type WayBackResult,
  type WayBackTurn,
  wayBackWorkflowId,
  type WorkflowRun,
} from "../contract/way-back.ts";
import { workflowSummary } from "../src/summary.ts";
import type { Protocol } from "./protocol.ts";
import { arrivedSignal, described, wayBackPreparedSignal } from "./signals.ts";
import type { wayBack } from "./way-back.ts";

/** The way back that a switch leaves open: under which of its ids, and until when. */
export interface Returning {
  turn: WayBackTurn;
  expiresAt: () => number;
}

/** The way back of a switch, as seen by the move or rollback that makes the switch. */
export class WayAhead {
  #ended = false;

  constructor(
    readonly run: WorkflowRun,
    readonly expiresAt: () => number,
    readonly result: Promise<WayBackResult>,
  ) {
    result
      .catch(() => undefined)
      .finally(() => {
        this.#ended = true;
      });
  }

  /** Starts the workflow of the way back, and waits until everything that it needs before the switch is there. */
  static async prepare(
    protocol: Protocol,
    input: MoveInput,
    plan: Preflight,
    { turn, expiresAt }: Returning,
  ): Promise<WayAhead> {
    let prepared = false;
    setHandler(wayBackPreparedSignal, () => void (prepared = true), described("wayBackPrepared"));
    let ahead: WayAhead | undefined;
    const prepare = async (): Promise<StepReport> => {
      ahead = await startWhenFree(protocol, wayOf(input, plan, turn), expiresAt);
      const [opening, end] = [condition(() => prepared), ahead.result];
      if ((await Promise.race([opening.then(() => null), end])) !== null) throw ahead.#endedEarly();
      return { text: `prepared the way back: ${ahead.run.workflowId}` };
    };
    await protocol.step("prepare way back", prepare, { undo: async () => ahead?.close() ?? NOTHING });
    return ahead!;
  }

  /** Throws if it has ended before the switch. */
  ensureOpen(): void {
    if (this.#ended) throw this.#endedEarly();
  }

  #endedEarly(): ApplicationFailure {
    const message = `the way back (${this.run.workflowId}) has ended before the switch; nothing was switched`;
    return ApplicationFailure.create({ message, type: "way_back_ended", nonRetryable: true });
  }

  /** Tells the way back that the shard has arrived; returns undefined if it has ended, which does not undo the switch. */
  async arrived(protocol: Protocol, leftover: string, fingerprint: string): Promise<MoveResult["wayBack"]> {
    const { workflowId, runId } = this.run;
    const expiresAt = this.expiresAt();
    try {
      await getExternalWorkflowHandle(workflowId, runId).signal(arrivedSignal, {
        leftover,
        expiresAt,
        fingerprint,
      });
    } catch {
      protocol.steering.tell({ text: `there is no way back: ${workflowId} has ended` });
      return undefined;
    }
    const until = new Date(expiresAt).toISOString();
    protocol.steering.tell({ text: `the way back is kept open by ${workflowId} until ${until}` });
    return { workflowId, expiresAt };
  }

  /** Undoes `prepare`: cancels the way back, and waits until it is closed. */
  async close(): Promise<StepReport> {
    const { workflowId, runId } = this.run;
    // It may have ended by itself.
    await getExternalWorkflowHandle(workflowId, runId)
      .cancel()
      .catch(() => undefined);
    await this.result.catch(() => undefined);
    return { text: `closed the way back: ${workflowId}` };
  }
}

const LOOK_AGAIN = "1 second";

const NOTHING: StepReport = { text: "no way back was begun" };

/** The way back of the switch before the last has the same id, and ends late if one of its servers is away. */
async function startWhenFree(
  { steering }: Protocol,
  input: WayBackInput,
  expiresAt: () => number,
): Promise<WayAhead> {
  for (;;)
    try {
      // An abort that comes after the switch must not reach it; before the switch, it is undone.
      return await CancellationScope.nonCancellable(() => start(input, expiresAt));
    } catch (error) {
      const taken = error instanceof WorkflowExecutionAlreadyStartedError;
      if (!taken || !patched("wait for a former way back")) throw error;
      steering.phase("running", `${error.workflowId}, a former way back of this shard, to end`);
      await sleep(LOOK_AGAIN);
      steering.phase("running");
    }
}

async function start(input: WayBackInput, expiresAt: () => number): Promise<WayAhead> {
  const workflowId = wayBackWorkflowId(input.schema, input.turn);
  const { schema, from, to } = input;
  const child = await startChild<typeof wayBack>("wayBack", {
    workflowId,
    taskQueue: TASK_QUEUE,
    args: [input],
    memo: { [REQUEST_MEMO]: input.move },
    ...workflowSummary(workflowId, { schema, from, to }),
    workflowIdReusePolicy: "ALLOW_DUPLICATE",
    parentClosePolicy: "ABANDON",
  });
  return new WayAhead({ workflowId, runId: child.firstExecutionRunId }, expiresAt, child.result());
}

/** The way back leads in the other direction. */
function wayOf(move: MoveInput, plan: Preflight, turn: WayBackInput["turn"]): WayBackInput {
  const { schema, from: to, to: from } = move;
  const { workflowId, runId } = workflowInfo();
  return {
    schema,
    from,
    to,
    move: { ...move, from, to },
    plan: { ...plan, copyMethod: "direct", source: plan.destination, destination: plan.source },
    opener: { workflowId, runId },
    turn,
  };
}

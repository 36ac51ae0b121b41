import { WorkflowExecutionAlreadyStartedError } from "@temporalio/common";
import {
  ActivityFailure,
  allHandlersFinished,
  ApplicationFailure,
  CancellationScope,
  condition,
  continueAsNew,
  getExternalWorkflowHandle,
  isCancellation,
  rootCause,
  setHandler,
  type SignalDefinition,
  startChild,
  workflowInfo,
} from "@temporalio/workflow";

import { type MoveInput, type MoveResult } from "../contract/move.ts";
import { moveWorkflowId, REQUEST_MEMO, TASK_QUEUE } from "../contract/names.ts";
import type { RebalanceInput, RebalanceItem, RebalanceOutcome, RunningItem } from "../contract/rebalance.ts";
import { workflowSummary } from "../src/summary.ts";
import { abortedWith } from "./aborted.ts";
import type { move } from "./move.ts";
import { waiting } from "./proxies.ts";
import { RebalanceRecord } from "./rebalance-record.ts";
import { type Movable, Schedule } from "./rebalance-schedule.ts";
import {
  abortSignal,
  confirmSignal,
  described,
  moveNoticedSignal,
  pauseSignal,
  rebalanceProgressQuery,
  skipLagSignal,
} from "./signals.ts";

/** A move on its way through the schedule, with the names of its islands. */
interface Lane extends Movable {
  readonly item: RebalanceItem;
  /** When it began. */
  startedAt: number;
  /** The run that was started; empty until then, and for a move that somebody else has started. */
  runId: string;
}

/**
 * Makes the moves of a plan, several at a time. A move that fails does not stop the others. An abort starts no more
 * moves, aborts those that are running, and waits for their clean-up.
 */
export async function rebalance(input: RebalanceInput): Promise<RebalanceOutcome> {
  return new Rebalance(input).run();
}

class Rebalance {
  readonly #input: RebalanceInput;
  readonly #record: RebalanceRecord;
  readonly #schedule: Schedule<Lane>;
  readonly #lanes = new Set<Lane>();
  readonly #root = CancellationScope.current();
  /** Children whose start the server has not confirmed yet. */
  #starting = 0;
  /** Set when a move has started or ended. */
  #news = false;

  constructor(input: RebalanceInput) {
    this.#input = input;
    this.#record = new RebalanceRecord(input);
    const { pending, before, parallelism, perIsland, rooms } = input;
    const running = (before?.running ?? []).map((item) => this.#lane(item, item.runId, item.startedAt));
    this.#schedule = new Schedule(
      pending.map((item) => this.#lane(item)),
      running,
      { parallelism, rooms, perIsland: perIsland ?? undefined },
    );
    setHandler(rebalanceProgressQuery, () => this.#record.progress, described("progress"));
    setHandler(pauseSignal, () => this.#pause(), described("pause"));
    setHandler(confirmSignal, () => this.#confirm(), described("confirm"));
    const noLag = (): Promise<void> => this.#forward(skipLagSignal, "told not to wait for replication lag");
    setHandler(skipLagSignal, noLag, described("skipLag"));
    setHandler(abortSignal, () => this.#root.cancel(), described("abort"));
    setHandler(moveNoticedSignal, (noticed) => this.#record.notice(noticed), described("moveNoticed"));
    for (const lane of running) this.#begin(lane, () => this.#rejoin(lane));
    for (const { schema, percent = 0 } of before?.running ?? []) this.#record.notice({ schema, percent });
  }

  async run(): Promise<RebalanceOutcome> {
    const { islands, switches, remaining = 0 } = this.#input;
    try {
      while (await this.#advance());
      if (this.#lanes.size + this.#schedule.pending.length > 0) await this.#quiet();
    } catch (error) {
      if (!this.#root.consideredCancelled) throw error;
      this.#record.phase = "aborting";
      await CancellationScope.nonCancellable(() => condition(() => this.#lanes.size === 0));
    }
    const open = this.#lanes.size + this.#schedule.pending.length;
    if (open > 0 && !this.#root.consideredCancelled) return this.#continue();
    if (!this.#record.complete) {
      this.#record.phase = "aborted";
      throw abortedWith(`aborted; ${this.#record.summary}`);
    }
    this.#record.phase = "done";
    return { islands, activated: switches.activateOnDestination, remaining, ...this.#record.outcome };
  }

  /** Starts what may start, and waits for news; false if nothing is left, or the history is long enough. */
  async #advance(): Promise<boolean> {
    if (this.#isFull()) return false;
    for (let lane; (lane = this.#record.paused ? null : this.#schedule.take());) {
      const next = lane;
      this.#begin(next, () => this.#start(next));
    }
    if (this.#lanes.size === 0 && !this.#record.paused) return false;
    await condition(() => this.#news);
    this.#news = false;
    return true;
  }

  /** True if the history has grown so long that the rest belongs in a new one. */
  #isFull(): boolean {
    const { historyLength, continueAsNewSuggested } = workflowInfo();
    return continueAsNewSuggested || historyLength > (this.#input.maxEvents ?? Infinity);
  }

  /** Waits until no child is about to start, and no signal is on its way to one. */
  async #quiet(): Promise<void> {
    await condition(() => this.#starting === 0 && allHandlersFinished());
  }

  /**
   * Hands over to a new run. The running moves continue in the meantime: they are abandoned children, for which the new
   * run waits. A child that has not started yet would be lost.
   */
  #continue(): Promise<RebalanceOutcome> {
    const running = [...this.#lanes].map(({ item, runId, startedAt }): RunningItem => ({
      ...item,
      runId,
      startedAt,
      percent: this.#record.percentOf(item),
    }));
    const pending = this.#schedule.pending.map(({ item }) => item);
    return continueAsNew<typeof rebalance>({
      ...this.#input,
      pending,
      before: { ...this.#record.state, running },
    });
  }

  #begin(lane: Lane, work: () => Promise<MoveResult>): void {
    this.#lanes.add(lane);
    this.#record.begin(lane.item, lane.startedAt || null);
    lane.startedAt ||= Date.now();
    void work()
      .then(
        (result) => this.#record.succeeded(lane.item, result),
        (error: unknown) => this.#ended(lane, error),
      )
      .finally(() => {
        this.#lanes.delete(lane);
        this.#schedule.ended(lane);
        this.#news = true;
      });
  }

  #ended({ item }: Lane, error: unknown): void {
    if (!wasAborted(error)) return this.#record.failed(item, rootCause(error) ?? String(error));
    if (this.#root.consideredCancelled) return this.#record.aborted(item);
    this.#record.failed(item, "it was aborted; the source is as it was");
  }

  /** Starts a move as a child, with the workflow ID of an individual move; if that is already running, waits for it. */
  async #start(lane: Lane): Promise<MoveResult> {
    const request = this.#requestOf(lane);
    const workflowId = moveWorkflowId(request.schema);
    this.#starting++;
    try {
      const child = await startChild<typeof move>("move", {
        workflowId,
        taskQueue: TASK_QUEUE,
        args: [{ ...request, startedBy: this.#input.startedBy }],
        memo: { [REQUEST_MEMO]: request },
        ...workflowSummary(workflowId, { ...request, bytes: lane.bytes }),
        workflowIdReusePolicy: "ALLOW_DUPLICATE",
        cancellationType: "WAIT_CANCELLATION_COMPLETED",
        // However this workflow ends, except by an abort (a termination, a new run), a move is completed.
        parentClosePolicy: "ABANDON",
      });
      lane.runId = child.firstExecutionRunId;
      this.#settle();
      return await child.result();
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      this.#settle();
      this.#record.tell(`${workflowId} is already running: waiting for its end`);
      return waiting["join move"]({ workflowId, runId: null, request });
    }
  }

  #settle(): void {
    this.#starting--;
    this.#news = true;
  }

  /** Waits for a move that the previous run has started, and aborts it if this run is aborted. */
  async #rejoin(lane: Lane): Promise<MoveResult> {
    const request = this.#requestOf(lane);
    const workflowId = moveWorkflowId(request.schema);
    const { runId } = lane;
    if (runId === "") return waiting["join move"]({ workflowId, runId: null, request });
    return CancellationScope.nonCancellable(() => {
      const abort = (): Promise<void> => getExternalWorkflowHandle(workflowId, runId).cancel();
      // A move that has just ended cannot be cancelled; the wait for it shows how it ended.
      this.#root.cancelRequested.catch(abort).catch(() => undefined);
      return waiting["join move"]({ workflowId, runId, request });
    });
  }

  /** Pauses, if any move has yet to start: otherwise there would be nothing to pause, and nobody would end the pause. */
  #pause(): void {
    if (this.#schedule.pending.length > 0) this.#record.pause();
    else this.#record.tell("not paused: every move has begun");
  }

  /** Ends the pause of the rebalance; if there is none, those of the moves. */
  async #confirm(): Promise<void> {
    if (!this.#record.paused) return this.#forward(confirmSignal, "confirmed");
    this.#record.resume();
    this.#news = true;
  }

  /** Passes a signal on to the moves that this rebalance has started and that are still running. */
  async #forward(signal: SignalDefinition, done: string): Promise<void> {
    const own = [...this.#lanes].filter(({ runId }) => runId !== "");
    if (own.length === 0) this.#record.tell(`no move is running that could be ${done}`);
    await Promise.all(
      own.map(async ({ item: { schema }, runId }) => {
        try {
          await getExternalWorkflowHandle(moveWorkflowId(schema), runId).signal(signal);
          this.#record.tell(`${schema}: ${done}`);
        } catch (error) {
          this.#record.tell(`${schema}: could not be ${done}: ${rootCause(error)}`);
        }
      }),
    );
  }

  #requestOf({ item: { schema, shard }, from, to }: Lane): MoveInput {
    return { schema, shard, from, to, ...this.#input.switches };
  }

  #lane(item: RebalanceItem, runId = "", startedAt = 0): Lane {
    const { islands } = this.#input;
    const { schema, shard, from, to, bytes } = item;
    return {
      item: { schema, shard, from, to, bytes },
      from: islands[from]!,
      to: islands[to]!,
      bytes,
      runId,
      startedAt,
    };
  }
}

/** True for the end of a child that was aborted, and of an aborted move for which an activity has waited. */
const wasAborted = (error: unknown): boolean =>
  isCancellation(error) ||
  (error instanceof ActivityFailure &&
    error.cause instanceof ApplicationFailure &&
    error.cause.type === "aborted");

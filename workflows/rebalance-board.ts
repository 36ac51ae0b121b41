import { setCurrentDetails, workflowInfo } from "@temporalio/workflow";

import { type MovePhase, type MoveResult, moveWorkflowId } from "./contract.ts";
import {
  type DoneItem,
  type FailedMove,
  type RebalanceEvent,
  type RebalanceInput,
  type RebalanceItem,
  type RebalanceOutcome,
  type RebalanceProgress,
  type RebalanceState,
} from "./rebalancing.ts";
import { effortOf } from "./schedule.ts";

/** Events and failures that the query answers; all failures are in the result. */
const MAX_EVENTS = 300;
const MAX_FAILURES = 100;

/** Keeps the books of a rebalance: which moves run, are done or have failed, and what is told of them. */
export class Board {
  readonly #islands: readonly string[];
  readonly #startedAt: number;
  readonly #done: DoneItem[];
  readonly #failed: FailedMove[];
  readonly #events: RebalanceEvent[];
  readonly #running = new Map<string, RebalanceItem & { startedAt: number }>();
  readonly #total: { moves: number; bytes: number; effort: number };
  #bytesDone: number;
  #effortDone: number;
  #phase: MovePhase = "running";

  constructor({ islands, pending, before }: RebalanceInput) {
    const { running = [], done = [], failed = [], events = [] } = before ?? {};
    this.#islands = islands;
    this.#startedAt = before?.startedAt ?? workflowInfo().startTime.getTime();
    this.#done = [...done];
    this.#failed = [...failed];
    this.#events = [...events];
    const open = [...pending, ...running];
    this.#bytesDone = sum(done, ({ bytes }) => bytes);
    this.#effortDone = sum(done, effortOf);
    this.#total = {
      moves: open.length + done.length + failed.length,
      bytes: this.#bytesDone + sum(open, ({ bytes }) => bytes),
      effort: this.#effortDone + sum(open, effortOf),
    };
  }

  get phase(): MovePhase {
    return this.#phase;
  }

  set phase(phase: MovePhase) {
    this.#phase = phase;
    this.#describe();
  }

  begin(item: RebalanceItem, startedAt: number): void {
    this.#running.set(item.schema, { ...item, startedAt });
  }

  /** Adds a line to the story. */
  tell(text: string): void {
    this.#events.push({ at: Date.now(), text });
    if (this.#events.length > MAX_EVENTS) this.#events.shift();
    this.#describe();
  }

  succeeded(item: RebalanceItem, result: MoveResult): void {
    this.#running.delete(item.schema);
    const { runId, rows, bytes: copied, durationMs, writeBlockedMs } = result;
    this.#done.push({ ...item, runId, rows, copied, durationMs, writeBlockedMs });
    this.#bytesDone += item.bytes;
    this.#effortDone += effortOf(item);
    const seconds = (durationMs / 1000).toFixed(1);
    this.tell(`moved ${this.#route(item)}: ${rows} rows in ${seconds} s`);
  }

  failed(item: RebalanceItem, reason: string): void {
    this.#running.delete(item.schema);
    // It is no work left, and none done either.
    this.#total.effort -= effortOf(item);
    const { from, to } = this.#ends(item);
    this.#failed.push({ schema: item.schema, from, to, reason });
    this.tell(`FAILED ${this.#route(item)}: ${reason}`);
  }

  /** A move that was aborted together with the rebalance. */
  aborted(item: RebalanceItem): void {
    this.#running.delete(item.schema);
    this.tell(`aborted ${this.#route(item)}`);
  }

  /** True when no move was left out or aborted. */
  get complete(): boolean {
    return this.#done.length + this.#failed.length === this.#total.moves;
  }

  /** Numbers of moves in a few words. */
  get summary(): string {
    const failed = this.#failed.length > 0 ? `, ${this.#failed.length} failed` : "";
    return `${this.#done.length} of ${this.#total.moves} moves done${failed}`;
  }

  get outcome(): Pick<RebalanceOutcome, "done" | "failed"> {
    return { done: this.#done, failed: this.#failed };
  }

  /** What the next run has to know when the workflow continues as new. */
  get state(): Omit<RebalanceState, "running"> {
    return { startedAt: this.#startedAt, done: this.#done, failed: this.#failed, events: this.#events };
  }

  get progress(): RebalanceProgress {
    const { moves, bytes, effort } = this.#total;
    return {
      workflowId: workflowInfo().workflowId,
      phase: this.#phase,
      step: "moves",
      percent: effort > 0 ? Math.floor((1000 * this.#effortDone) / effort) / 10 : 100,
      startedAt: this.#startedAt,
      waitingFor: null,
      events: this.#events,
      total: moves,
      done: this.#done.length,
      failed: this.#failed.length,
      bytes,
      bytesDone: this.#bytesDone,
      running: [...this.#running.values()].map((item) => ({
        workflowId: moveWorkflowId(item.schema),
        schema: item.schema,
        ...this.#ends(item),
        bytes: item.bytes,
        startedAt: item.startedAt,
      })),
      failures: this.#failed.slice(-MAX_FAILURES),
    };
  }

  #ends({ from, to }: RebalanceItem): { from: string; to: string } {
    return { from: this.#islands[from]!, to: this.#islands[to]! };
  }

  #route(item: RebalanceItem): string {
    const { from, to } = this.#ends(item);
    return `${item.schema} from ${from} to ${to}`;
  }

  /** Shows the same in the Temporal UI. */
  #describe(): void {
    const running = [...this.#running.values()].map((item) => `- ${this.#route(item)}`);
    const last = this.#events.slice(-20).map(({ text }) => `- ${text}`);
    setCurrentDetails(
      [`${this.#phase}: **${this.summary}**`, "", "Running:", ...running, "", "Last:", ...last].join("\n"),
    );
  }
}

const sum = <T>(items: readonly T[], of: (item: T) => number): number =>
  items.reduce((total, item) => total + of(item), 0);

import { setCurrentDetails, workflowInfo } from "@temporalio/workflow";

import { type MoveResult } from "../contract/move.ts";
import { moveWorkflowId } from "../contract/names.ts";
import { type MovePhase } from "../contract/progress.ts";
import {
  type DoneItem,
  type FailedItem,
  type FailedMove,
  type MoveNoticed,
  type Named,
  type RebalanceEvent,
  type RebalanceInput,
  type RebalanceItem,
  type RebalanceOutcome,
  type RebalanceProgress,
  type RebalanceState,
  type RunningItem,
} from "../contract/rebalance.ts";
import { duration } from "../src/format.ts";
import { doneItem } from "./done-item.ts";
import { effortOf, percentOf } from "./work.ts";

/** The largest number of events that the query returns. */
const MAX_EVENTS = 600;
/** Events that are passed on to the next run. It needs the space in the payload for other things. */
const EVENTS_HANDED_ON = 100;
/**
 * Characters (of up to three bytes) of one reason, of all reasons together, and of an event: ten thousand failures
 * must fit into 2 MB.
 */
const MAX_REASON = 1000;
const MAX_REASONS = 80_000;
const MAX_EVENT = 300;
const MAX_FAILURES = 100;
/** Moves whose result has the names of their islands; with more of them, it could exceed 2 MB. */
const MAX_NAMED = 1000;

/** Keeps track of a rebalance: which moves are running, done or failed, and what is reported about them. */
export class RebalanceRecord {
  readonly #islands: readonly string[];
  readonly #startedAt: number;
  readonly #done: DoneItem[];
  readonly #failed: FailedItem[];
  readonly #events: RebalanceEvent[];
  readonly #running = new Map<string, RebalanceItem & Pick<RunningItem, "startedAt" | "percent">>();
  readonly #total: { moves: number; bytes: number; effort: number };
  /** Characters of all reasons. */
  #reasons: number;
  #bytesDone: number;
  #effortDone: number;
  #percent: number;
  #phase: MovePhase = "running";
  #pausedSince: number | null;
  #pausedMs: number;

  constructor({ islands, pending, before }: RebalanceInput) {
    const { running = [], done = [], failed = [], events = [] } = before ?? {};
    this.#pausedSince = before?.pausedSince ?? null;
    this.#pausedMs = before?.pausedMs ?? 0;
    if (this.paused) this.#phase = "paused";
    this.#islands = islands;
    this.#startedAt = before?.startedAt ?? workflowInfo().startTime.getTime();
    this.#done = [...done];
    this.#failed = [...failed];
    this.#events = [...events];
    const open = [...pending, ...running];
    this.#bytesDone = before?.bytesDone ?? 0;
    this.#effortDone = before?.effortDone ?? 0;
    this.#percent = before?.percent ?? 0;
    const ended = done.flatMap((item) => item.ended ?? []);
    this.#reasons = sum(failed, ({ reason }) => reason.length) + sum(ended, ({ length }) => length);
    this.#total = {
      moves: open.length + done.length + failed.length,
      bytes: this.#bytesDone + sum(open, ({ bytes }) => bytes),
      effort: this.#effortDone + sum(open, effortOf),
    };
  }

  set phase(phase: MovePhase) {
    this.#phase = phase;
    this.#describe();
  }

  /** True while no more moves are to be started. */
  get paused(): boolean {
    return this.#pausedSince !== null;
  }

  pause(): void {
    if (this.paused) return;
    this.#pausedSince = Date.now();
    this.#phase = "paused";
    this.tell(`paused: no more moves are started, ${this.#running.size} keep running`);
  }

  resume(): void {
    if (this.#pausedSince === null) return;
    this.#pausedMs += Date.now() - this.#pausedSince;
    this.#pausedSince = null;
    this.#phase = "running";
    this.tell("confirmed: moves are started again");
  }

  /** Records a move that begins, or one that the previous run has begun. */
  begin(item: RebalanceItem, startedAt: number | null): void {
    this.#running.set(item.schema, { ...item, startedAt: startedAt ?? Date.now() });
    if (startedAt !== null) return;
    const { from, to } = this.#ends(item);
    this.#add({ at: Date.now(), text: `${item.schema}: begins to move from ${from} to ${to}`, begins: true });
  }

  /** Records the progress of a running move. */
  notice({ schema, percent }: MoveNoticed): void {
    const running = this.#running.get(schema);
    if (!running) return;
    running.percent = Math.max(running.percent ?? 0, percent);
    this.#describe();
  }

  /** The last known percentage of a running move. */
  percentOf({ schema }: RebalanceItem): number {
    return this.#running.get(schema)?.percent ?? 0;
  }

  /** Returns the percentage of the whole, with the running moves as far as they have reported. */
  #reach(): number {
    const { effort } = this.#total;
    const underWay = sum([...this.#running.values()], (item) => (effortOf(item) * (item.percent ?? 0)) / 100);
    const complete = effort === 0 || this.#effortDone === effort;
    const now = complete ? 100 : percentOf((this.#effortDone + underWay) / effort);
    return (this.#percent = Math.max(this.#percent, now));
  }

  /** Adds a line to the story. */
  tell(text: string): void {
    this.#add({ at: Date.now(), text });
  }

  succeeded(item: RebalanceItem, result: MoveResult): void {
    this.#running.delete(item.schema);
    this.#done.push({ ...doneItem(item, result), ...this.#ended(result) });
    this.#bytesDone += item.bytes;
    this.#effortDone += effortOf(item);
    this.tell(`moved ${this.#route(item)}: ${result.rows} rows in ${duration(result.durationMs)}`);
  }

  /** The sessions that a move has ended, while there is room for them in the result. */
  #ended({ schema, endedBlockers = [] }: Partial<MoveResult>): Pick<DoneItem, "ended"> {
    for (const text of endedBlockers) this.tell(`${schema}: ${text}`);
    if (endedBlockers.length === 0 || this.#reasons >= MAX_REASONS) return {};
    this.#reasons += sum(endedBlockers, ({ length }) => length);
    return { ended: endedBlockers };
  }

  failed(item: RebalanceItem, reason: string): void {
    this.#running.delete(item.schema);
    // Its work counts neither as done nor as remaining.
    this.#total.effort -= effortOf(item);
    const { schema, from, to } = item;
    const kept = this.#reasons < MAX_REASONS ? reason.slice(0, MAX_REASON) : elsewhere(schema);
    this.#reasons += kept.length;
    this.#failed.push({ schema, from, to, reason: kept });
    this.tell(`FAILED ${this.#route(item)}: ${reason}`);
  }

  /** Records a move that was aborted together with the rebalance. */
  aborted(item: RebalanceItem): void {
    this.#running.delete(item.schema);
    this.tell(`aborted ${this.#route(item)}`);
  }

  /** True when no move was left out or aborted. */
  get complete(): boolean {
    return this.#done.length + this.#failed.length === this.#total.moves;
  }

  /** The numbers of moves in a few words. */
  get summary(): string {
    const failed = this.#failed.length > 0 ? `, ${this.#failed.length} failed` : "";
    return `${this.#done.length} of ${this.#total.moves} moves done${failed}`;
  }

  get outcome(): Pick<RebalanceOutcome, "done" | "failed"> {
    if (this.#done.length + this.#failed.length > MAX_NAMED)
      return { done: this.#done, failed: this.#failed };
    type Ends = Pick<RebalanceItem, "from" | "to">;
    const named = <Item extends Ends>(item: Item): Named<Item> => ({ ...item, ...this.#ends(item) });
    return { done: this.#done.map(named), failed: this.#failed.map(named) };
  }

  /** What the next run has to know when the workflow continues as new. */
  get state(): Omit<RebalanceState, "running"> {
    return {
      startedAt: this.#startedAt,
      done: this.#done,
      failed: this.#failed,
      bytesDone: this.#bytesDone,
      effortDone: this.#effortDone,
      percent: this.#reach(),
      events: this.#events.slice(-EVENTS_HANDED_ON),
      pausedSince: this.#pausedSince,
      pausedMs: this.#pausedMs,
    };
  }

  get progress(): RebalanceProgress {
    const { moves, bytes, effort } = this.#total;
    return {
      workflowId: workflowInfo().workflowId,
      phase: this.#phase,
      step: "moves",
      percent: this.#reach(),
      effort,
      effortDone: this.#effortDone,
      startedAt: this.#startedAt,
      pausedSince: this.#pausedSince,
      pausedMs: this.#pausedMs,
      waitingFor: this.#phase === "paused" ? "confirmation to start the other moves (confirm)" : null,
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
        percent: item.percent,
      })),
      failures: this.#failed
        .slice(-MAX_FAILURES)
        .map((item): FailedMove => ({ ...item, ...this.#ends(item) })),
    };
  }

  #add(event: RebalanceEvent): void {
    this.#events.push({ ...event, text: event.text.slice(0, MAX_EVENT) });
    if (this.#events.length > MAX_EVENTS) this.#events.shift();
    this.#describe();
  }

  #ends({ from, to }: Pick<RebalanceItem, "from" | "to">): { from: string; to: string } {
    return { from: this.#islands[from]!, to: this.#islands[to]! };
  }

  #route(item: RebalanceItem): string {
    const { from, to } = this.#ends(item);
    return `${item.schema} from ${from} to ${to}`;
  }

  /** Shows the same information in the Temporal UI. */
  #describe(): void {
    const running = [...this.#running.values()].map((item) => `- ${this.#route(item)}`);
    const told = this.#events.filter(({ begins }) => !begins);
    const last = told.slice(-20).map(({ text }) => `- ${text}`);
    setCurrentDetails(
      [
        `${this.#phase}: **${this.summary}**, ${this.#reach()} %`,
        "",
        "Running:",
        ...running,
        "",
        "Last:",
        ...last,
      ].join("\n"),
    );
  }
}

const elsewhere = (schema: string): string => `\`shardferry attach ${moveWorkflowId(schema)}\` shows why`;

const sum = <T>(items: readonly T[], of: (item: T) => number): number =>
  items.reduce((total, item) => total + of(item), 0);

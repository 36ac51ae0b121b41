import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  condition,
  getExternalWorkflowHandle,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from "@temporalio/workflow";

import type { HistoryLine } from "../contract/history.ts";
import { type Preflight, STEPS } from "../contract/move.ts";
import { type MovePhase, type Noticed, type StepReport, type WriteBlock } from "../contract/progress.ts";
import { type Progress, type ProgressEvent, type StepName } from "../contract/story.ts";
import type { Verified } from "../contract/verify.ts";
import { bytes, duration } from "../src/format.ts";
import {
  abortSignal,
  confirmSignal,
  described,
  moveNoticedSignal,
  noticedSignal,
  progressQuery,
  skipLagSignal,
} from "./signals.ts";
import { percentOf, shareDone, type Work, workOf } from "./work.ts";

/** True for an error that an activity threw as non-retryable. */
const isFatal = (error: unknown): boolean =>
  error instanceof ActivityFailure &&
  error.cause instanceof ApplicationFailure &&
  error.cause.nonRetryable === true;

/** A third of a lease's term; some eight hundred events a day. */
const KEEP_LEASE_EVERY = "20 minutes";

/** Events that the query keeps: a move has about thirty, but one that retries for a day must not grow forever. */
const MAX_EVENTS = 300;

/** What can be seen and steered from outside in one move, copy or migration: its progress and its three signals. */
export class Steering {
  #confirmed = false;
  #skipLag: CancellationScope | undefined;
  #lagSkipped = false;
  readonly #root = CancellationScope.current();
  readonly #progress: Progress;
  /** The work to do, once preflight has found it out. */
  #work: Work | undefined;
  #compared: HistoryLine["verified"] = null;

  constructor(subject: Pick<Progress, "schema" | "from" | "to">, steps: readonly StepName[] = STEPS) {
    const { workflowId, startTime } = workflowInfo();
    const { schema, from, to } = subject;
    this.#progress = {
      workflowId,
      schema,
      from,
      to,
      phase: "running",
      steps,
      step: steps[0]!,
      percent: 0,
      startedAt: startTime.getTime(),
      waitingFor: null,
      events: [],
    };
    setHandler(progressQuery, () => this.#progress, described("progress"));
    setHandler(confirmSignal, () => void (this.#confirmed = true), described("confirm"));
    setHandler(skipLagSignal, () => this.#skip(), described("skipLag"));
    setHandler(noticedSignal, (noticed) => this.#notice(noticed), described("noticed"));
    // From here on, an abort signal and a cancellation request are the same.
    setHandler(abortSignal, () => this.#root.cancel(), described("abort"));
    this.#describe();
  }

  /** True once an abort has been requested. */
  get aborted(): boolean {
    return this.#root.consideredCancelled;
  }

  /** True until the run has failed or is being aborted. */
  get running(): boolean {
    return this.#progress.phase === "running";
  }

  /** Marks the beginning of a step, before any of its work is done. */
  enter(step: StepName): void {
    this.#progress.step = step;
    this.#progress.waitingFor = null;
    this.#progress.secondsLeft = undefined;
    this.#reach(this.#percentBefore(step));
    this.#describe();
  }

  /** Records what preflight has found out about the work. */
  plan(plan: Preflight): void {
    this.#work = workOf(plan);
    this.#progress.sizeBytes = plan.sizeBytes ?? plan.bytes;
    this.#progress.rowsTotal = plan.rows;
  }

  /** Records what has been copied in all. */
  copied({ rows, bytes }: { rows: number; bytes: number }): void {
    Object.assign(this.#progress, { rows, copiedBytes: bytes });
  }

  /** Takes what was the same on both sides. */
  compared({ tables, rows }: Pick<Verified, "tables" | "rows">): void {
    this.#compared = { tables, rows };
  }

  /** The most WAL that was kept, as far as that was noticed. */
  get walKeptBytes(): number {
    return this.#progress.walKeptBytes ?? 0;
  }

  /** Tells when it will end by itself. */
  expires(at: number): void {
    this.#progress.expiresAt = at;
  }

  /** What is known of the work even if it fails. */
  get figures(): Pick<HistoryLine, "sizeBytes" | "copiedBytes" | "rows" | "writeBlocked" | "verified"> {
    const { sizeBytes = null, copiedBytes = null, rows = null, writeBlocked = null } = this.#progress;
    return { sizeBytes, copiedBytes, rows, writeBlocked, verified: this.#compared };
  }

  /** What is done when a step begins. A migration has steps that are all alike. */
  #percentBefore(step: StepName): number {
    const { steps } = this.#progress;
    if (!steps.includes("tablesync")) return Math.round((100 * steps.indexOf(step)) / steps.length);
    return this.#work ? percentOf(shareDone(this.#work, step) ?? 0) : 0;
  }

  /** The percentage never falls because of a wait, a retry or a copy that starts over. */
  #reach(percent: number): void {
    this.#progress.percent = Math.max(this.#progress.percent, percent);
  }

  /** Reports to the rebalance, which counts its running moves. It may have ended, or been terminated. */
  #tellParent(): void {
    const { parent } = workflowInfo();
    if (!parent) return;
    const { schema, percent } = this.#progress;
    const handle = getExternalWorkflowHandle(parent.workflowId);
    handle.signal(moveNoticedSignal, { schema, percent }).catch(() => undefined);
  }

  #notice({ reached, walKeptBytes }: Noticed): void {
    const progress = this.#progress;
    if (reached) {
      this.#reach(reached.percent);
      progress.rows = reached.rows ?? progress.rows;
      progress.copiedBytes = reached.copiedBytes ?? progress.copiedBytes;
      progress.secondsLeft = reached.secondsLeft;
      this.#tellParent();
    }
    if (walKeptBytes !== undefined) progress.walKeptBytes = Math.max(walKeptBytes, this.walKeptBytes);
    this.#describe();
  }

  /** Adds what a step did to the story. */
  tell(report: StepReport, step: StepName = this.#progress.step): void {
    const event: ProgressEvent = { at: Date.now(), step, text: report.text };
    if (report.sql) event.sql = report.sql;
    this.#progress.events.push(event);
    if (this.#progress.events.length > MAX_EVENTS) this.#progress.events.shift();
    this.#describe();
  }

  /** Adds what the switch has cost the writers. */
  switched(writeBlocked: WriteBlock | null): void {
    if (writeBlocked) this.#progress.writeBlocked = writeBlocked;
  }

  /** Sets the phase and, for a pause, what has to happen for it to end. */
  phase(phase: MovePhase, waitingFor: string | null = null): void {
    this.#progress.phase = phase;
    this.#progress.waitingFor = waitingFor;
    if (phase === "done") this.#progress.percent = 100;
    if (phase !== "running") this.#progress.secondsLeft = undefined;
    this.#describe();
  }

  /**
   * Pauses until `confirm`. A confirmation that came earlier counts: a script may send it at once.
   *
   * @param keepLease called from time to time, since no step is running that would renew the shard's lease.
   */
  async confirmation(waitingFor: string, keepLease: () => Promise<void>): Promise<void> {
    this.enter("wait for confirmation");
    await this.#untilConfirmed(waitingFor, keepLease);
    this.tell({ text: "confirmed" });
  }

  async #untilConfirmed(waitingFor: string, keepLease: () => Promise<void>): Promise<void> {
    this.phase("paused", waitingFor);
    const timer = { summary: "renews the lease of the shard while waiting for confirmation" };
    while (!(await condition(() => this.#confirmed, KEEP_LEASE_EVERY, timer))) await keepLease();
    this.phase("running");
  }

  /** Pauses because rows differ, until `confirm` asks for another comparison. */
  async differing(text: string, keepLease: () => Promise<void>): Promise<void> {
    this.tell({ text: `failed: ${text}` });
    this.#confirmed = false;
    this.#progress.differs = { at: Date.now(), text };
    await this.#untilConfirmed("an abort, or a confirmation (confirm) to compare the rows again", keepLease);
    this.#confirmed = false;
    delete this.#progress.differs;
    this.tell({ text: "comparing the rows again" });
  }

  /** Runs a wait for lag, which `skipLag` ends at once; after that signal, there are no more waits for lag. */
  async unlessSkipped(wait: () => Promise<StepReport>): Promise<void> {
    if (this.#lagSkipped) return this.tell({ text: "not waiting for the lag: told to continue" });
    const scope = new CancellationScope();
    this.#skipLag = scope;
    try {
      this.tell(await scope.run(wait));
    } catch (error) {
      const skipped = this.#lagSkipped && !this.aborted;
      // A look that fails just then because a server is restarting is no reason to fail either.
      if (!skipped || isFatal(error)) throw error;
      this.tell({ text: "did not wait for the lag: told to continue" });
    } finally {
      this.#skipLag = undefined;
    }
  }

  #skip(): void {
    this.#lagSkipped = true;
    this.#skipLag?.cancel();
  }

  /** Shows the same story in the Temporal UI. */
  #describe(): void {
    const { phase, step, waitingFor, events, percent, secondsLeft, walKeptBytes } = this.#progress;
    const numbers = [
      `${percent} %`,
      phase === "running" && secondsLeft !== undefined ? `about ${duration(1000 * secondsLeft)} left` : "",
      walKeptBytes === undefined ? "" : `the source has kept up to ${bytes(walKeptBytes)} of WAL`,
    ];
    const lines = events.slice(-20).map((event) => `- **${event.step}**: ${event.text}`);
    setCurrentDetails(
      [
        `${phase}: **${step}**, ${numbers.filter(Boolean).join(", ")}`,
        waitingFor ? `waiting for ${waitingFor}` : "",
        ...lines,
      ].join("\n"),
    );
  }
}

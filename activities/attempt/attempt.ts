import { setTimeout as sleep } from "node:timers/promises";

import { Context } from "@temporalio/activity";
import {
  ActivityCancelledError,
  ActivityNotFoundError,
  ActivityPausedError,
  ActivityResetError,
  WorkflowNotFoundError,
} from "@temporalio/client";
import type { ClientBase } from "pg";

import type { IslandName } from "../../contract/names.ts";
import type { Noticed, Reached, StepProgress } from "../../contract/progress.ts";
import { messageOf, ShardferryError } from "../../src/errors.ts";
import type { Islands } from "../../src/postgres/islands/connections.ts";
import type { Lend } from "../../src/postgres/locks.ts";
import { backendPid, whileLooking } from "../../src/postgres/session.ts";
import { carriedOn, countedIn } from "./carried-on.ts";
import type { FaultPoint } from "./fault-points.ts";
import { pause, POLL_MS } from "./poll.ts";

/** What the worker gives to the activities. */
export interface Deps {
  islands: Islands;
  /** PGOPTIONS for the sessions that copy rows and build indexes. */
  pgOptions: string | undefined;
  /** Called around each step, even one that fails, and each statement of the switch; tests kill the process there. */
  fault: (point: FaultPoint) => Promise<void>;
  /** Aborted when the worker is about to stop. */
  stopping: AbortSignal;
}

/** Another attempt has taken over while this one was frozen or cut off. Nobody reads this error any more. */
class StaleAttemptError extends ShardferryError {
  override readonly retryable = true;

  constructor(workflowId: string) {
    super("stale_attempt", `another worker has taken over this step of ${workflowId}`);
  }
}

/** Without an answer from Temporal there is no way to know whether another worker has taken over. */
class TemporalUnreachableError extends ShardferryError {
  override readonly retryable = true;

  constructor(cause: unknown) {
    super("temporal_unreachable", `Temporal is not responding: ${messageOf(cause)}`, { cause });
  }
}

/** Milliseconds within which an island has to respond: one second less than the shortest heartbeat timeout. */
const ANSWER_MS = 3000;

/** Nothing comes back from the host of an island, not even a refusal. */
class SilentIslandError extends ShardferryError {
  override readonly retryable = true;

  constructor(island: IslandName) {
    super("island_silent", `${island} is not responding: check its host and the network in between`);
  }
}

/** The least time, in milliseconds, and the fewest percentage points between two signals of how far a move has come. */
const NOTICE_EVERY_MS = 15_000;
const NOTICE_PERCENT = 1;

/** What each activity has reported last: several objects may stand for the same attempt. */
const lastBeats = new WeakMap<Context, StepProgress>();

/** One attempt of an activity: its workflow, its heartbeat, its cancellation, and the sessions it may have left behind. */
export class ActivityAttempt {
  readonly workflowId: string;
  readonly runId: string;
  /** When the activity was first scheduled; the same for all its attempts. */
  readonly scheduledAt: Date;
  /** 1 for the first attempt. */
  readonly number: number;
  /** Milliseconds from the first attempt to this one, by Temporal's clock. */
  readonly triedMs: number;
  /** The name of the activity in the history. */
  readonly name: string;
  #noticed = { at: Date.now(), percent: 0 };
  readonly #context = Context.current();

  constructor(readonly deps: Deps) {
    const { workflowExecution, scheduledTimestampMs, currentAttemptScheduledTimestampMs, attempt } =
      this.#context.info;
    if (!workflowExecution) throw new Error("a step runs only as part of a workflow");
    this.workflowId = workflowExecution.workflowId;
    this.runId = workflowExecution.runId;
    this.scheduledAt = new Date(scheduledTimestampMs);
    this.number = attempt;
    this.name = this.#context.info.activityType;
    this.triedMs = currentAttemptScheduledTimestampMs - scheduledTimestampMs;
  }

  /** Aborted when the workflow is aborted, or when the worker shuts down. */
  get signal(): AbortSignal {
    return this.#context.cancellationSignal;
  }

  /** Throws the cancellation, if there is one. */
  throwIfCancelled(): void {
    if (this.signal.aborted) throw this.signal.reason;
  }

  /** Reports that the step is alive and how far it has come. Called only after real progress was seen. */
  beat(progress: StepProgress): void {
    const told = carriedOn(this.lastBeat, progress);
    lastBeats.set(this.#context, told);
    this.#context.heartbeat(told);
  }

  /** Tells the workflow how far the move has come, but not too often: every signal makes its history longer. */
  noticeReached(reached: Reached): void {
    const { at, percent } = this.#noticed;
    if (Date.now() - at < NOTICE_EVERY_MS || reached.percent < percent + NOTICE_PERCENT) return;
    this.#noticed = { at: Date.now(), percent: reached.percent };
    this.notice({ reached });
  }

  /** Tells the workflow something that its query shows. Nothing depends on it, so it may get lost. */
  notice(noticed: Noticed): void {
    const { client } = this.#context;
    const handle = client.workflow.getHandle(this.workflowId, this.runId);
    handle.signal("noticed", noticed).catch(() => undefined);
  }

  /** Adds something to every heartbeat from now on, so that the next attempt finds it. */
  keep(part: Pick<StepProgress, "blocked">): void {
    lastBeats.set(this.#context, { ...this.lastBeat, ...part });
  }

  /** What was last reported, by this attempt or by the one before. */
  get lastBeat(): StepProgress {
    const before = this.#context.info.heartbeatDetails as StepProgress | undefined;
    return lastBeats.get(this.#context) ?? before ?? {};
  }

  /** Records that this attempt ends with an error, and returns how many have ended with the same one. */
  async countFailure(text: string): Promise<number> {
    const failed = countedIn(this.lastBeat.failed, text);
    this.beat({ ...this.lastBeat, failed, failedAt: this.lastBeat.furthest ?? 0 });
    // Sent at once, since the next attempt needs it. If Temporal does not respond, that one starts counting from zero.
    await this.ensureCurrent().catch(() => undefined);
    return failed[text]!;
  }

  /** Reads something from an island that takes seconds for a shard with thousands of tables. */
  async reading<T>(island: IslandName, read: () => Promise<T>): Promise<T> {
    return this.watched(
      island,
      alive(() => `reading the catalogs of ${island}`),
      read,
    );
  }

  /**
   * Runs something long and looks at its progress twice a second from another session; each look that
   * succeeds is a heartbeat. A cancellation cancels the queries of the backends that `work` has announced, as long as
   * their sessions have the given name.
   */
  async watched<T>(
    island: IslandName,
    look: (client: ClientBase) => Promise<StepProgress>,
    work: (onBackend: (client: ClientBase) => void) => Promise<T>,
    sessionName = "",
  ): Promise<T> {
    const backends = new Set<number>();
    const lookOnce = async (client: ClientBase): Promise<void> => {
      if (this.signal.aborted)
        // Only those that still belong to this step: a returned session may be working for another move.
        await client.query(
          "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE pid = ANY ($1) AND application_name = $2",
          [[...backends], sessionName],
        );
      else this.beat(await look(client));
    };
    try {
      const look = (): Promise<void> => this.deps.islands.withLook(island, lookOnce);
      return await whileLooking(POLL_MS, [look], () => work((client) => backends.add(backendPid(client))));
    } catch (error) {
      this.throwIfCancelled();
      throw error;
    }
  }

  /** Waits; rejects at once when cancelled. */
  async pause(ms: number): Promise<void> {
    await pause(ms);
  }

  /**
   * Asks Temporal whether this attempt is still the current one: a worker that was frozen or cut off
   * does not know that another one has taken over, and would repeat work that must not be repeated. Call it
   * between opening a session and its first change: a later attempt ends that session (endOrphans), and
   * an attempt that was superseded before changes nothing. Returns whether the step has been cancelled.
   */
  async ensureCurrent(): Promise<{ cancelled: boolean }> {
    const { client, info } = this.#context;
    try {
      await client.activity.heartbeat(info.taskToken, this.lastBeat);
      return { cancelled: false };
    } catch (error) {
      if (error instanceof ActivityNotFoundError) throw new StaleAttemptError(this.workflowId);
      if (error instanceof ActivityCancelledError) return { cancelled: true };
      if (error instanceof ActivityPausedError || error instanceof ActivityResetError)
        return { cancelled: false };
      throw new TemporalUnreachableError(error);
    }
  }

  /** True when Temporal knows a run of this workflow, and that it has ended. */
  async isOver(runId: string): Promise<boolean> {
    return (await this.stateOf(this.workflowId, runId)) === "over";
  }

  /** What Temporal knows about a run; one from another server or namespace, or from long ago, is unknown. */
  async stateOf(workflowId: string, runId: string): Promise<"running" | "over" | "unknown"> {
    try {
      const { status } = await this.#context.client.workflow.getHandle(workflowId, runId).describe();
      return status.name === "RUNNING" ? "running" : "over";
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return "unknown";
      throw new TemporalUnreachableError(error);
    }
  }

  /**
   * Runs something short on an island, and fails after 3 s without a response. A host that silently drops packets would
   * hold up the step for longer than the heartbeat timeout: for 10 s on a new connection, for a quarter of an hour on an
   * existing one.
   */
  async answering<T>(island: IslandName, run: () => Promise<T>): Promise<T> {
    const over = new AbortController();
    const silence = sleep(ANSWER_MS, undefined, { signal: over.signal }).then(() => {
      throw new SilentIslandError(island);
    });
    try {
      return await Promise.race([run(), silence]);
    } finally {
      over.abort();
    }
  }

  /** Throws the cancellation that ensureCurrent saw: the worker learns about it through a heartbeat of its own. */
  async awaitCancellation(): Promise<never> {
    for (;;) {
      this.beat({ note: "aborting" });
      await this.pause(POLL_MS);
    }
  }

  /** Lends sessions for looking at an island, even while this attempt holds another one there. */
  lend(island: IslandName): Lend {
    return (use) => this.deps.islands.withLook(island, use);
  }

  /**
   * Ends the sessions with a given name on an island: a backend does not notice the death of its client before its
   * statement ends, and would finish its COPY, CREATE INDEX or PREPARE TRANSACTION in competition with us.
   */
  async endSessions(island: IslandName, applicationName: string): Promise<void> {
    for (;;) {
      const { rowCount } = await this.deps.islands.withClient(island, (client) =>
        client.query(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
           WHERE application_name = $1 AND backend_type = 'client backend'`,
          [applicationName],
        ),
      );
      if (!rowCount) return;
      await this.pause(20);
    }
  }
}

/** A look for `watched` at work whose progress cannot be seen: it only checks that the server responds. */
export const alive =
  (note: () => string) =>
  async (client: ClientBase): Promise<StepProgress> => {
    await client.query("SELECT");
    return { note: note() };
  };

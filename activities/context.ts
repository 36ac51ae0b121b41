import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";

import { Context } from "@temporalio/activity";
import {
  ActivityCancelledError,
  ActivityNotFoundError,
  ActivityPausedError,
  ActivityResetError,
  WorkflowNotFoundError,
} from "@temporalio/client";
import type pg from "pg";
import type { ClientBase } from "pg";

import { messageOf, ShardferryError } from "../src/errors.ts";
import type { Islands, SessionOptions } from "../src/postgres/islands.ts";
import { type ReplicationNames, replicationNames } from "../src/postgres/names.ts";
import type { DatabaseIdentity, IslandName, StepInput, StepProgress } from "../workflows/contract.ts";

/** What the activities are given by the worker. */
export interface Deps {
  islands: Islands;
  /** PGOPTIONS for the sessions that build indexes. */
  pgOptions: string | undefined;
  /** Called before and after each step and each statement of the switch; tests kill the process there. */
  fault: (point: string) => Promise<void>;
}

/** Milliseconds between two looks at something that is waited for. */
export const POLL_MS = 500;

/** Somebody else's database stands where the move's source or destination was. */
class WrongDatabaseError extends ShardferryError {
  constructor(island: IslandName) {
    super(
      "wrong_database",
      `${island} is another database than the one with which this move began (restored, recreated or failed over); abort the move and start it again`,
    );
  }
}

/** Another attempt has taken over while this one was frozen or cut off. Nobody reads this error any more. */
class StaleAttemptError extends ShardferryError {
  override readonly retryable = true;

  constructor(schema: string) {
    super("stale_attempt", `another worker has taken over this step of "${schema}"`);
  }
}

/** Without an answer from Temporal nobody knows whether another worker has taken over. */
class TemporalUnreachableError extends ShardferryError {
  override readonly retryable = true;

  constructor(cause: unknown) {
    super("temporal_unreachable", `Temporal does not answer: ${messageOf(cause)}`, { cause });
  }
}

/** One step at work: its names, its two islands, its heartbeat and its cancellation. */
export class Step {
  readonly schema: string;
  readonly from: IslandName;
  readonly to: IslandName;
  readonly names: ReplicationNames;
  readonly workflowId: string;
  readonly runId: string;
  /** When the step was asked for; the same for all its attempts. */
  readonly scheduledAt: Date;
  readonly #context = Context.current();
  /** What the last heartbeat told, or that of the attempt before. */
  #lastBeat = this.#context.info.heartbeatDetails as unknown;

  constructor(
    readonly deps: Deps,
    readonly input: StepInput,
  ) {
    const { workflowExecution } = this.#context.info;
    if (!workflowExecution) throw new Error("a step runs only as part of a workflow");
    this.workflowId = workflowExecution.workflowId;
    this.runId = workflowExecution.runId;
    this.schema = input.request.schema;
    this.from = input.request.from;
    this.to = input.request.to;
    this.scheduledAt = new Date(this.#context.info.scheduledTimestampMs);
    this.names = replicationNames(this.workflowId, this.runId, this.schema);
  }

  /** Aborted when the workflow is aborted, or when the worker shuts down. */
  get signal(): AbortSignal {
    return this.#context.cancellationSignal;
  }

  /** Throws the cancellation, if there is one. */
  throwIfCancelled(): void {
    if (this.signal.aborted) throw this.signal.reason;
  }

  /** Tells that the step is alive and how far it is. Called only after something was really seen to work. */
  beat(progress: StepProgress): void {
    this.#lastBeat = progress;
    this.#context.heartbeat(progress);
  }

  /** Waits; rejects at once when cancelled. */
  async pause(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.signal }).catch((error: unknown) => {
      this.throwIfCancelled();
      throw error;
    });
  }

  /** Lends a session on the source, after a look whether it still is the source. */
  async onSource<T>(use: (client: ClientBase) => Promise<T>): Promise<T> {
    return this.#on(this.from, this.input.plan.source, use);
  }

  /** Lends a session on the destination, after a look whether it still is the destination. */
  async onDestination<T>(use: (client: ClientBase) => Promise<T>): Promise<T> {
    return this.#on(this.to, this.input.plan.destination, use);
  }

  async #on<T>(
    island: IslandName,
    expected: DatabaseIdentity,
    use: (client: ClientBase) => Promise<T>,
  ): Promise<T> {
    return this.deps.islands.withClient(island, async (client) => {
      const { rowCount } = await client.query(
        `SELECT FROM pg_control_system() WHERE system_identifier = $1
           AND (SELECT oid FROM pg_database WHERE datname = current_database()) = $2`,
        [expected.systemIdentifier, expected.databaseOid],
      );
      if (!rowCount) throw new WrongDatabaseError(island);
      return use(client);
    });
  }

  /** Opens a session of its own under the name by which a later attempt finds and ends it. */
  async session<T>(
    island: IslandName,
    options: SessionOptions,
    use: (client: pg.Client) => Promise<T>,
  ): Promise<T> {
    return this.deps.islands.withSession(island, { ...options, applicationName: this.names.slot }, use);
  }

  /** Opens a session on the source and one on the destination at once. */
  async bothSides<T>(
    source: SessionOptions,
    destination: SessionOptions,
    use: (source: pg.Client, destination: pg.Client) => Promise<T>,
  ): Promise<T> {
    const applicationName = this.names.slot;
    return this.deps.islands.withSessions(
      [
        [this.from, { ...source, applicationName }],
        [this.to, { ...destination, applicationName }],
      ],
      ([first, second]) => use(first!, second!),
    );
  }

  /**
   * Asks Temporal whether this attempt still is the one that counts: a worker that was frozen or cut off
   * does not know that another one has taken over, and would repeat what must not be repeated. To be asked
   * between the opening of a session and its first change: whoever takes over later ends that session
   * (endOrphans), and whoever was replaced before changes nothing. Answers whether it is to be aborted.
   */
  async ensureCurrent(): Promise<{ cancelled: boolean }> {
    const { client, info } = this.#context;
    try {
      await client.activity.heartbeat(info.taskToken, this.#lastBeat);
      return { cancelled: false };
    } catch (error) {
      if (error instanceof ActivityNotFoundError) throw new StaleAttemptError(this.schema);
      if (error instanceof ActivityCancelledError) return { cancelled: true };
      if (error instanceof ActivityPausedError || error instanceof ActivityResetError)
        return { cancelled: false };
      throw new TemporalUnreachableError(error);
    }
  }

  /** True when Temporal knows a run of this workflow, and that it has ended. */
  async isOver(runId: string): Promise<boolean> {
    try {
      const handle = this.#context.client.workflow.getHandle(this.workflowId, runId);
      return (await handle.describe()).status.name !== "RUNNING";
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return false;
      throw new TemporalUnreachableError(error);
    }
  }

  /** Throws the cancellation that ensureCurrent saw: the worker learns of it by a heartbeat of its own. */
  async awaitCancellation(): Promise<never> {
    for (;;) {
      this.beat({ note: "aborting" });
      await this.pause(POLL_MS);
    }
  }

  /**
   * Ends what an earlier attempt of this workflow left running on an island: a backend does not notice
   * the death of its client before its statement ends, and would finish its COPY or CREATE INDEX against us.
   */
  async endOrphans(island: IslandName): Promise<void> {
    for (;;) {
      const { rowCount } = await this.deps.islands.withClient(island, (client) =>
        client.query(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
           WHERE application_name = $1 AND backend_type = 'client backend'`,
          [this.names.slot],
        ),
      );
      if (!rowCount) return;
      await this.pause(20);
    }
  }

  /**
   * Runs something long, looking at its progress twice a second from another session; each look that
   * works is a heartbeat. A cancellation ends the backends that `work` told about.
   */
  async watched<T>(
    island: IslandName,
    look: (client: ClientBase) => Promise<StepProgress>,
    work: (onBackend: (client: ClientBase) => void) => Promise<T>,
  ): Promise<T> {
    const backends = new Set<number>();
    const finished = new AbortController();
    const lookOnce = async (client: ClientBase): Promise<void> => {
      if (this.signal.aborted)
        await client.query("SELECT pg_cancel_backend(pid) FROM unnest($1::int[]) pid", [[...backends]]);
      else this.beat(await look(client));
    };
    const watching = (async () => {
      while (!finished.signal.aborted) {
        await Promise.race([delay(POLL_MS), once(finished.signal, "abort")]);
        // A look that fails (the server restarts) is no heartbeat, and the next one may work again.
        if (!finished.signal.aborted)
          await this.deps.islands.withClient(island, lookOnce).catch(() => undefined);
      }
    })();
    try {
      return await work((client) => backends.add((client as unknown as { processID: number }).processID));
    } catch (error) {
      this.throwIfCancelled();
      throw error;
    } finally {
      finished.abort();
      await watching;
    }
  }
}

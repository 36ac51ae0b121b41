import type pg from "pg";
import type { ClientBase } from "pg";

import type { DatabaseIdentity, StepInput } from "../../../contract/move.ts";
import type { IslandName } from "../../../contract/names.ts";
import type { StepProgress } from "../../../contract/progress.ts";
import type { StepName } from "../../../contract/story.ts";
import { ShardferryError } from "../../../src/errors.ts";
import type { SessionOptions } from "../../../src/postgres/islands/connections.ts";
import { replicationName } from "../../../src/postgres/replication/names.ts";
import { isOnDatabase } from "../../../src/postgres/server.ts";
import { Course } from "../../../workflows/work.ts";
import type { ActivityAttempt } from "../../attempt/attempt.ts";

/** A different database is now where the move's source or destination was. */
export class WrongDatabaseError extends ShardferryError {
  constructor(island: IslandName) {
    super(
      "wrong_database",
      `${island} is not the database with which this move began (it was restored, recreated or failed over); abort the move and start it again`,
    );
  }
}

/** The database of each session. It never changes, so a session is asked once, not before each use. */
const databases = new WeakMap<ClientBase, DatabaseIdentity>();

async function ensureOnDatabase(
  island: IslandName,
  client: ClientBase,
  expected: DatabaseIdentity,
): Promise<void> {
  const { systemIdentifier, databaseOid } = databases.get(client) ?? {};
  if (systemIdentifier === expected.systemIdentifier && databaseOid === expected.databaseOid) return;
  if (!(await isOnDatabase(client, expected))) throw new WrongDatabaseError(island);
  databases.set(client, expected);
}

/** One step of a move or copy while it runs: its names and its two islands. */
export class MoveStep {
  readonly schema: string;
  readonly from: IslandName;
  readonly to: IslandName;
  /** The run that the replication and the copy's mark are named after: this one, or that of the way back of a rollback. */
  readonly owner: { workflowId: string; runId: string };
  /** The name of the slot, the publication, the subscription and the sessions of that run. */
  readonly replicationName: string;
  /** What this attempt has copied under the lock, if anything. */
  copiedUnderLock: { rows: number; bytes: number } | undefined;
  readonly #course: Course;

  constructor(
    readonly attempt: ActivityAttempt,
    readonly input: StepInput,
  ) {
    this.schema = input.request.schema;
    this.from = input.request.from;
    this.to = input.request.to;
    this.#course = new Course(input.plan);
    this.owner = input.wayBack ?? attempt;
    this.replicationName = replicationName(this.owner.workflowId, this.owner.runId, this.schema);
  }

  /** Lends a session on the source, after checking that it is still the same database. */
  async onSource<T>(use: (client: ClientBase) => Promise<T>): Promise<T> {
    return this.#on(this.from, this.input.plan.source, use);
  }

  /** Lends a session on the destination, after checking that it is still the same database. */
  async onDestination<T>(use: (client: ClientBase) => Promise<T>): Promise<T> {
    return this.#on(this.to, this.input.plan.destination, use);
  }

  async #on<T>(
    island: IslandName,
    expected: DatabaseIdentity,
    use: (client: ClientBase) => Promise<T>,
  ): Promise<T> {
    return this.attempt.deps.islands.withClient(island, async (client) => {
      await ensureOnDatabase(island, client, expected);
      return use(client);
    });
  }

  /** Opens a separate session, under the name by which a later attempt finds and ends it. */
  async session<T>(
    island: IslandName,
    options: SessionOptions,
    use: (client: pg.Client) => Promise<T>,
  ): Promise<T> {
    return this.attempt.deps.islands.withSession(island, this.#named(options), use);
  }

  /** Opens a session on the source and one on the destination at once. */
  async bothSides<T>(
    source: SessionOptions,
    destination: SessionOptions,
    use: (source: pg.Client, destination: pg.Client) => Promise<T>,
  ): Promise<T> {
    return this.sessions([source], [destination], ([first], [second]) => use(first!, second!));
  }

  /** Opens any number of sessions on both sides at once. */
  async sessions<T>(
    source: readonly SessionOptions[],
    destination: readonly SessionOptions[],
    use: (source: pg.Client[], destination: pg.Client[]) => Promise<T>,
  ): Promise<T> {
    const on = (island: IslandName, options: readonly SessionOptions[]): [IslandName, SessionOptions][] =>
      options.map((one) => [island, this.#named(one)]);
    return this.attempt.deps.islands.withSessions(
      [...on(this.from, source), ...on(this.to, destination)],
      (clients) => use(clients.slice(0, source.length), clients.slice(source.length)),
    );
  }

  #named(options: SessionOptions): SessionOptions {
    return { reuse: true, ...options, applicationName: this.replicationName };
  }

  /** Like ActivityAttempt.watched; a cancellation reaches those backends announced by `work` that are sessions of this run. */
  async watched<T>(
    island: IslandName,
    look: (client: ClientBase) => Promise<StepProgress>,
    work: (onBackend: (client: ClientBase) => void) => Promise<T>,
  ): Promise<T> {
    const told = async (client: ClientBase): Promise<StepProgress> => this.#told(await look(client));
    return this.attempt.watched(island, told, work, this.replicationName);
  }

  /** Like ActivityAttempt.beat, with how far the whole move has come. */
  beat(progress: StepProgress): void {
    this.attempt.beat(this.#told(progress));
  }

  /** Adds how far the whole move has come; what an earlier attempt has reached counts until this one has passed it. */
  #told(progress: StepProgress): StepProgress {
    const before = this.attempt.lastBeat.reached;
    const reached = this.#course.reached(this.attempt.name as StepName, progress, before, Date.now());
    if (!reached) return progress;
    this.attempt.noticeReached(reached);
    return { ...progress, secondsLeft: reached.secondsLeft, reached };
  }

  /** Ends the sessions that an earlier attempt of this run, or the run with the given name, has left on an island. */
  async endOrphans(island: IslandName, name = this.replicationName): Promise<void> {
    await this.attempt.endSessions(island, name);
  }
}

import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";

import type pg from "pg";
import type { ClientBase } from "pg";

import { ShardferryError } from "../src/errors.ts";
import type { SessionOptions } from "../src/postgres/islands.ts";
import { type ReplicationNames, replicationNames } from "../src/postgres/names.ts";
import type { DatabaseIdentity, IslandName, StepInput, StepProgress } from "../workflows/contract.ts";
import { Attempt, type Deps, POLL_MS } from "./attempt.ts";

export { type Deps, POLL_MS } from "./attempt.ts";

/** Somebody else's database stands where the move's source or destination was. */
class WrongDatabaseError extends ShardferryError {
  constructor(island: IslandName) {
    super(
      "wrong_database",
      `${island} is another database than the one with which this move began (restored, recreated or failed over); abort the move and start it again`,
    );
  }
}

/** One step of a move or copy at work: its names and its two islands. */
export class Step extends Attempt {
  readonly schema: string;
  readonly from: IslandName;
  readonly to: IslandName;
  readonly names: ReplicationNames;

  constructor(
    deps: Deps,
    readonly input: StepInput,
  ) {
    super(deps);
    this.schema = input.request.schema;
    this.from = input.request.from;
    this.to = input.request.to;
    this.names = replicationNames(this.workflowId, this.runId, this.schema);
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

  /** Ends what an earlier attempt of this workflow, or the run of the given name, left running on an island. */
  async endOrphans(island: IslandName, name = this.names.slot): Promise<void> {
    await this.endSessions(island, name);
  }

  /** Reads from an island something that takes seconds where a shard has thousands of tables. */
  async reading<T>(island: IslandName, read: () => Promise<T>): Promise<T> {
    return this.watched(
      island,
      alive(() => `reads the catalogs of ${island}`),
      read,
    );
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
    const over = once(finished.signal, "abort");
    const watching = (async () => {
      while (!finished.signal.aborted) {
        await Promise.race([delay(POLL_MS), over]);
        // A look that fails (the server restarts) is no heartbeat, and the next one may work again.
        if (!finished.signal.aborted)
          await this.deps.islands.withLook(island, lookOnce).catch(() => undefined);
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

/** A look for `watched` at something of which no more can be seen than that its server answers. */
export const alive =
  (note: () => string) =>
  async (client: ClientBase): Promise<StepProgress> => {
    await client.query("SELECT");
    return { note: note() };
  };

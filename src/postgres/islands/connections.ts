import pg from "pg";

import type { IslandName } from "../../../contract/names.ts";
import { ShardferryError } from "../../errors.ts";
import { noteIsland, onIsland } from "../errors/origin.ts";
import { toClientConfig } from "./client-config.ts";
import { type Dsn } from "./dsn.ts";
import { naming } from "./lost-session.ts";
import { asPoolerError, beginSession, sessionOptions } from "./pooler.ts";
import { redact } from "./redact.ts";
import { LATE_SETTINGS, OWN_SETTINGS } from "./session-settings.ts";

export interface SessionOptions {
  /** Further settings of the session, as in `-c name=value`. */
  settings?: Record<string, string>;
  /** Libpq-style options string given by the user (PGOPTIONS), applied first. */
  pgOptions?: string | undefined;
  applicationName?: string;
  /** Has the timeouts of its role and database, like a session of the subscription whose options are ignored. */
  inherits?: boolean;
  /** Opens a replication connection (walsender protocol with SQL). */
  replication?: boolean;
  /**
   * May be a session that earlier work has left open, with its settings and its name adjusted. A new one costs both
   * sides some 10 ms of processor time, and more at its first queries, since its catalog caches are empty. Not for work
   * that keeps state of its own in the session, such as prepared statements.
   */
  reuse?: boolean;
}

/** The current query is rejected with the same error; this listener only keeps the process alive. */
const ignore = (): void => undefined;

/** A session for one piece of work. */
interface Lent {
  client: pg.Client;
  giveBack(failed: boolean): Promise<void>;
}

const SET =
  "SELECT set_config(name, value, false) FROM unnest($1::text[], $2::text[]) AS wanted(name, value)";
/** Removes what previous work has left in a session. */
const CLEAR = `RESET ALL; RESET SESSION AUTHORIZATION; DISCARD TEMP; SELECT pg_advisory_unlock_all(); ${LATE_SETTINGS}`;

/** The settings of this process lack an island; another worker may know it, or may be started. */
export class UnknownIslandError extends ShardferryError {
  override readonly retryable = true;

  constructor(name: IslandName, known: readonly IslandName[]) {
    super(
      "unknown_island",
      `this worker does not know the island ${name}; it knows ${known.join(", ") || "none"}. ` +
        `Start a worker whose --dsns (or DSNS, or config file) contains it`,
    );
  }
}

/**
 * Sessions to an island that are lent at a time. A worker never runs more short steps at once, so none waits for one
 * that itself waits for a lock.
 */
const POOLED = 100;
/** Sessions for short looks, which take milliseconds. */
const LOOKING = 10;

/** Uses after which a session is replaced: its catalog caches grow with each shard that it has seen. */
const MAX_USES = 500;

/** Turns island names into connections: the only place where names meet credentials. */
export class Islands {
  readonly #dsns: ReadonlyMap<IslandName, Dsn>;
  readonly #lent: Pools;
  readonly #looking: Pools;
  readonly #reused: Pools;
  readonly #pipelined: Pools;

  /** @param most the largest number of sessions of each kind to an island at a time. */
  constructor(dsns: readonly Dsn[], most = { pooled: POOLED, looking: LOOKING }) {
    this.#dsns = new Map(dsns.map((dsn) => [dsn.name, dsn]));
    const config = (name: IslandName): pg.ClientConfig => this.#config(name, {});
    this.#lent = new Pools(config, most.pooled);
    this.#looking = new Pools(config, most.looking);
    // Without a limit, since work that holds one may need another to continue.
    this.#reused = new Pools(config, Infinity);
    this.#pipelined = new Pools((name) => ({ ...config(name), pipeline: true }), most.pooled);
  }

  /** The names of all islands. */
  names(): IslandName[] {
    return [...this.#dsns.keys()];
  }

  /** Hides the passwords of all islands in a text. */
  redact(text: string): string {
    return redact(text, [...this.#dsns.values()]);
  }

  /** The DSN behind a name. Throws UnknownIslandError. */
  dsn(name: IslandName): Dsn {
    const dsn = this.#dsns.get(name);
    if (!dsn) throw new UnknownIslandError(name, this.names());
    return dsn;
  }

  /**
   * Lends a pooled session. The callee leaves no session state behind (SET LOCAL only); if it fails, the
   * session is closed, since its state is unknown.
   */
  async withClient<T>(name: IslandName, use: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    return this.#lend(this.#lent, name, use);
  }

  /**
   * Lends a session for a short look to a caller that may hold another one: from a separate pool, whose sessions
   * nobody keeps while waiting for anything, so that callers can never wait for each other.
   */
  async withLook<T>(name: IslandName, use: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    return this.#lend(this.#looking, name, use);
  }

  /**
   * Lends a session on each of two islands: in the same order whatever the direction, so that moves back and forth never
   * wait for each other. Statements that are not awaited one by one are sent at once: together they take one round trip.
   */
  async withBoth<T>(
    first: IslandName,
    second: IslandName,
    use: (first: pg.PoolClient, second: pg.PoolClient) => Promise<T>,
  ): Promise<T> {
    if (first > second) return this.withBoth(second, first, (two, one) => use(one, two));
    return this.#lend(this.#pipelined, first, (one) =>
      this.#lend(this.#pipelined, second, (two) => use(one, two)),
    );
  }

  async #lend<T>(pools: Pools, name: IslandName, use: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    const client = await pools.connect(name).catch((error: Error) => Promise.reject(onIsland(name, error)));
    noteIsland(client, name);
    let failure: Error | undefined;
    // Without a listener, a server that shuts down while the session is idle would end this process.
    const onError = (error: Error): void => void (failure = error);
    client.on("error", onError);
    try {
      return await use(client);
    } catch (error) {
      failure = error instanceof Error ? error : new Error(String(error));
      throw onIsland(name, failure);
    } finally {
      client.off("error", onError);
      client.release(failure);
    }
  }

  /** Opens a separate session, for work that needs settings or holds locks, and closes it after `use`. */
  async withSession<T>(
    name: IslandName,
    options: SessionOptions,
    use: (client: pg.Client) => Promise<T>,
  ): Promise<T> {
    return this.withSessions([[name, options]], ([client]) =>
      use(client!).catch((error: Error) => Promise.reject(onIsland(name, error))),
    );
  }

  /** Opens several sessions at once: one after the other costs some 10 ms each. Closes them after `use`. */
  async withSessions<T>(
    wanted: readonly (readonly [IslandName, SessionOptions])[],
    use: (clients: pg.Client[]) => Promise<T>,
  ): Promise<T> {
    const opened = await Promise.allSettled(wanted.map(([name, options]) => this.#take(name, options)));
    const lent = opened.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    let failed = true;
    try {
      const refused = opened.find((one) => one.status === "rejected");
      if (refused) throw refused.reason;
      const result = await use(lent.map(({ client }) => client));
      failed = false;
      return result;
    } finally {
      await Promise.all(lent.map((one) => one.giveBack(failed)));
    }
  }

  async #take(name: IslandName, options: SessionOptions): Promise<Lent> {
    try {
      const reused = options.reuse && !options.replication && !options.pgOptions;
      const lent = await (reused ? this.#reuse(name, options) : this.#open(name, options));
      noteIsland(lent.client, name);
      return lent;
    } catch (error) {
      throw onIsland(name, error as Error);
    }
  }

  async #open(name: IslandName, options: SessionOptions): Promise<Lent> {
    const client = naming(new pg.Client(this.#config(name, options)), name);
    client.on("error", ignore);
    try {
      await client.connect();
      await beginSession(client, name);
    } catch (error) {
      await client.end().catch(ignore);
      throw asPoolerError(error, name);
    }
    return { client, giveBack: () => client.end().catch(ignore) };
  }

  async #reuse(name: IslandName, { applicationName, settings = {} }: SessionOptions): Promise<Lent> {
    const client = await this.#reused.connect(name);
    client.on("error", ignore);
    const wanted = Object.entries(
      applicationName ? { application_name: applicationName, ...settings } : settings,
    );
    const run = async (sql: string, values: string[][] = []): Promise<void> => {
      await client.query(sql, values);
    };
    const giveBack = async (failed: boolean): Promise<void> => {
      const unfit = failed || (await run(CLEAR).catch((error: Error) => error)) instanceof Error;
      if (unfit) await client.end().catch(ignore);
      client.off("error", ignore);
      client.release(unfit);
    };
    try {
      const names = wanted.map(([key]) => key);
      const values = wanted.map(([, value]) => value);
      await run(SET, [names, values]);
    } catch (error) {
      await giveBack(true);
      throw error;
    }
    return { client: client as unknown as pg.Client, giveBack };
  }

  /** Closes all pooled sessions. */
  async close(): Promise<void> {
    const all = [this.#lent, this.#looking, this.#reused, this.#pipelined];
    await Promise.all(all.map((pools) => pools.close()));
  }

  #config(name: IslandName, options: SessionOptions): pg.ClientConfig {
    const dsn = this.dsn(name);
    const settings = { ...(options.inherits ? {} : OWN_SETTINGS), ...options.settings };
    // The types of pg do not know `replication`.
    const config: pg.ClientConfig & { replication?: string } = {
      ...toClientConfig(dsn),
      application_name: options.applicationName ?? "shardferry",
      connectionTimeoutMillis: 10_000,
      options: sessionOptions(dsn, settings, options.pgOptions),
    };
    if (options.replication) config.replication = "database";
    return config;
  }
}

/** Pools of sessions of one kind, one pool for each island. */
class Pools {
  readonly #config: (name: IslandName) => pg.ClientConfig;
  readonly #most: number;
  readonly #pools = new Map<IslandName, pg.Pool>();

  constructor(config: (name: IslandName) => pg.ClientConfig, most: number) {
    this.#config = config;
    this.#most = most;
  }

  async connect(name: IslandName): Promise<pg.PoolClient> {
    let pool = this.#pools.get(name);
    if (!pool) {
      pool = new pg.Pool({
        ...this.#config(name),
        max: this.#most,
        idleTimeoutMillis: 10_000,
        maxUses: MAX_USES,
        onConnect: (client) => beginSession(client, name) as unknown as void,
      });
      pool.on("connect", (client) => void naming(client, name));
      // An idle session that dies is replaced at the next use.
      pool.on("error", () => undefined);
      this.#pools.set(name, pool);
    }
    return pool.connect().catch((error: unknown) => Promise.reject(asPoolerError(error, name) as Error));
  }

  async close(): Promise<void> {
    const pools = [...this.#pools.values()];
    this.#pools.clear();
    await Promise.all(pools.map((pool) => pool.end()));
  }
}

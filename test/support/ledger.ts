import { setTimeout as sleep } from "node:timers/promises";

import pg from "pg";

import { ident, qualified } from "../../src/postgres/quote.ts";

/** SQLSTATE after which Ent Framework looks again where the shard is, and retries. */
const UNDEFINED_TABLE = "42P01";

export interface LedgerOptions {
  islands: readonly string[];
  shard: number;
  schema: string;
  /** Writers at the same time, 4 by default. */
  writers?: number;
  /** Writes a second, of all writers together; 200 by default. */
  rate?: number;
  /** Schema of the SQL API. */
  lib?: string;
  table?: string;
}

export interface LedgerResult {
  acknowledged: number;
  /** Acknowledged writes that are nowhere. */
  lost: number;
  /** Operations that were applied more than once. */
  doubled: number;
  /** Longest time without any acknowledged write, in milliseconds. */
  longestGapMs: number;
  /** Errors that a client which rediscovers on 42P01 would still have seen, by text. */
  failures: string[];
  /** Times that the shard was looked for again. */
  rediscoveries: number;
}

/**
 * The oracle of every move under load: writers that find the shard as an application does, insert and
 * update rows at a steady rate, and note what was acknowledged.
 */
export class Ledger {
  readonly #options: Required<LedgerOptions>;
  readonly #acknowledged = new Map<string, number>();
  readonly #failures: string[] = [];
  #rediscoveries = 0;
  #running = true;
  #lastAck = Date.now();
  #longestGap = 0;
  #work: Promise<unknown> = Promise.resolve();
  #next = 0;
  /** Numbers of the inserts that were acknowledged. */
  readonly #finished = new Set<number>();

  constructor(options: LedgerOptions) {
    this.#options = { writers: 4, rate: 200, lib: "microsharding", table: "ledger", ...options };
  }

  /** The table that the writers need, in any schema. */
  static readonly tableSql = (schema: string, table = "ledger"): string =>
    `CREATE TABLE ${qualified(schema, table)} (
       id bigserial PRIMARY KEY, op text NOT NULL UNIQUE, touched int NOT NULL DEFAULT 0, at timestamptz NOT NULL DEFAULT now()
     )`;

  get acknowledged(): number {
    return this.#acknowledged.size;
  }

  /** Milliseconds of the longest time without an acknowledged write since the last call, the present one included. */
  takeLongestGap(): number {
    const gap = Math.max(this.#longestGap, Date.now() - this.#lastAck);
    this.#longestGap = 0;
    return gap;
  }

  /** Resolves when a write that began later than now is acknowledged; answers the milliseconds until then. */
  async nextWrite(): Promise<number> {
    const begin = Date.now();
    const known = this.#next;
    const written = (async () => {
      while (!this.#finished.has(known) && this.#running) await sleep(2);
    })();
    // A writer that failed would leave us waiting.
    await Promise.race([written, this.#work]);
    return Date.now() - begin;
  }

  /** Begins to write; resolves when the first write was acknowledged. */
  async start(): Promise<void> {
    const { writers } = this.#options;
    this.#lastAck = Date.now();
    this.#work = Promise.all(Array.from({ length: writers }, (_, i) => this.#write(i)));
    this.#work.catch(() => undefined);
    while (this.#acknowledged.size === 0 && this.#failures.length === 0) await sleep(5);
    this.#longestGap = 0;
    this.#lastAck = Date.now();
  }

  /** Stops the writers and compares what was acknowledged with what is there. */
  async stop(): Promise<LedgerResult> {
    this.#running = false;
    await this.#work;
    const rows = await this.#rowsNow();
    const lost = [...this.#acknowledged].filter(
      ([op, touched]) => (rows.get(op)?.touched ?? -1) < touched,
    ).length;
    const doubled = [...rows].filter(
      ([op, row]) => row.count > 1 || row.touched > (this.#acknowledged.get(op) ?? 0),
    ).length;
    return {
      acknowledged: this.#acknowledged.size,
      lost,
      doubled,
      longestGapMs: this.#longestGap,
      failures: this.#failures,
      rediscoveries: this.#rediscoveries,
    };
  }

  async #rowsNow(): Promise<Map<string, { touched: number; count: number }>> {
    const { client } = await this.#discover(new Map());
    const { rows } = await client.query<{ op: string; touched: number; count: string }>(
      `SELECT op, max(touched) AS touched, count(*) FROM ${this.#table()} GROUP BY op`,
    );
    await client.end();
    return new Map(rows.map((row) => [row.op, { touched: row.touched, count: Number(row.count) }]));
  }

  #table(): string {
    return qualified(this.#options.schema, this.#options.table);
  }

  async #write(writer: number): Promise<void> {
    const { writers, rate } = this.#options;
    const connections = new Map<string, pg.Client>();
    let place: pg.Client | undefined;
    const period = (1000 * writers) / rate;
    let last: string | undefined;
    for (let next = Date.now() + (period * writer) / writers; this.#running; next += period) {
      await sleep(Math.max(0, next - Date.now()));
      next = Math.max(next, Date.now() - 5 * period);
      const no = this.#next++;
      const op = `${writer}-${no}`;
      place = await this.#until(connections, place, (client) => this.#insert(client, op));
      this.#ack(op, 0);
      this.#finished.add(no);
      if (last && this.#running) {
        const target = last;
        place = await this.#until(connections, place, (client) => this.#touch(client, target));
        this.#ack(target, 1);
      }
      last = op;
    }
    for (const client of connections.values()) await client.end();
  }

  async #insert(client: pg.Client, op: string): Promise<void> {
    // A retry after a lost answer must not count as a second write: that is the application's part.
    await client.query(`INSERT INTO ${this.#table()} (op) VALUES ($1) ON CONFLICT (op) DO NOTHING`, [op]);
  }

  async #touch(client: pg.Client, op: string): Promise<void> {
    const { rowCount } = await client.query(`UPDATE ${this.#table()} SET touched = 1 WHERE op = $1`, [op]);
    if (rowCount !== 1) this.#failures.push(`acknowledged write ${op} is not to be found`);
  }

  #ack(op: string, touched: number): void {
    this.#acknowledged.set(op, touched);
    const now = Date.now();
    this.#longestGap = Math.max(this.#longestGap, now - this.#lastAck);
    this.#lastAck = now;
  }

  /** Runs one operation, looking for the shard again as long as it is not where it was thought to be. */
  async #until(
    connections: Map<string, pg.Client>,
    place: pg.Client | undefined,
    operation: (client: pg.Client) => Promise<void>,
  ): Promise<pg.Client> {
    for (;;) {
      const client = place ?? (await this.#discover(connections)).client;
      try {
        await operation(client);
        return client;
      } catch (error) {
        place = undefined;
        const { code, message } = error as { code?: string; message: string };
        if (code === UNDEFINED_TABLE) this.#rediscoveries++;
        else if (isConnectionError(error)) this.#forget(connections, client);
        else {
          this.#failures.push(`${code ?? ""} ${message}`);
          await sleep(50);
        }
      }
    }
  }

  #forget(connections: Map<string, pg.Client>, client: pg.Client): void {
    for (const [dsn, known] of connections) if (known === client) connections.delete(dsn);
    client.end().catch(() => undefined);
  }

  /** Asks every island which shards are active there, until one answers that ours is. */
  async #discover(connections: Map<string, pg.Client>): Promise<{ client: pg.Client }> {
    const { islands, lib, schema } = this.#options;
    for (;;) {
      for (const dsn of islands) {
        try {
          const client = connections.get(dsn) ?? (await this.#connect(connections, dsn));
          const { rows } = await client.query<{ active: boolean }>(
            `SELECT $1 = ANY (SELECT nspname FROM unnest(${ident(lib)}.microsharding_list_active_shards()) s
               JOIN pg_namespace n ON n.oid = s) AS active`,
            [schema],
          );
          if (rows[0]!.active) return { client };
        } catch (error) {
          const known = connections.get(dsn);
          if (known) this.#forget(connections, known);
          if (!isConnectionError(error) && (error as { code?: string }).code !== "3F000") throw error;
        }
      }
      await sleep(1);
    }
  }

  async #connect(connections: Map<string, pg.Client>, dsn: string): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: dsn, application_name: "ledger" });
    client.on("error", () => undefined);
    await client.connect();
    connections.set(dsn, client);
    return client;
  }
}

/** The server went away or comes back: not an error of the operation. */
function isConnectionError(error: unknown): boolean {
  const { code = "", message } = error as { code?: string; message: string };
  return /^(08|57P0|ECONN|EPIPE)/.test(code) || /terminated|not queryable|closed/i.test(message);
}

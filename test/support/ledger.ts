import { after } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import type pg from "pg";

import { ident, qualified } from "../../src/postgres/quote.ts";
import { Sessions } from "./sessions.ts";

/** SQLSTATE after which Ent Framework looks again where the shard is, and retries. */
const UNDEFINED_TABLE = "42P01";
/** Sixty ledgers must not take all the CPU to look for shards whose island is away. */
const LONGEST_PAUSE_MS = 32;

export interface LedgerOptions {
  islands: readonly string[];
  shard: number;
  schema: string;
  /** Writers at the same time, 4 by default. */
  writers?: number;
  /** Writes a second, of all writers together; 200 by default. */
  rate?: number;
  /** Schema of the SQL API. */
  apiSchema?: string;
  table?: string;
  /** Sessions that it shares with other ledgers; by default it has its own. */
  sessions?: Sessions | null;
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

const running = new Set<Ledger>();
// A test that failed has not stopped its writers; they would keep the process of the test file at work.
after(() => {
  for (const ledger of running) ledger.halt();
});

/**
 * The oracle of every move under load: writers that find the shard as an application does, insert and
 * update rows at a steady rate, and note what was acknowledged.
 */
export class Ledger {
  readonly #options: Required<LedgerOptions>;
  readonly #sessions: Sessions;
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
    this.#options = {
      ...{ writers: 4, rate: 200, apiSchema: "microsharding", table: "ledger", sessions: null },
      ...options,
    };
    const { sessions, writers } = this.#options;
    this.#sessions = sessions ?? new Sessions("ledger", writers);
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
    running.add(this);
    this.#lastAck = Date.now();
    this.#work = Promise.all(Array.from({ length: writers }, (_, i) => this.#write(i)));
    this.#work.catch(() => undefined);
    while (this.#acknowledged.size === 0 && this.#failures.length === 0 && this.#running) await sleep(5);
    this.#longestGap = 0;
    this.#lastAck = Date.now();
  }

  /** Lets the writers end after what they are at. */
  halt(): void {
    running.delete(this);
    this.#running = false;
  }

  /** Stops the writers and compares what was acknowledged with what is there. */
  async stop(): Promise<LedgerResult> {
    this.halt();
    await this.#work;
    const rows = await this.#rowsNow();
    if (!this.#options.sessions) await this.#sessions.close();
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
    const place = await this.#discover();
    const { rows } = await place.query<{ op: string; touched: number; count: string }>(
      `SELECT op, max(touched) AS touched, count(*) FROM ${this.#table()} GROUP BY op`,
    );
    return new Map(rows.map((row) => [row.op, { touched: row.touched, count: Number(row.count) }]));
  }

  #table(): string {
    return qualified(this.#options.schema, this.#options.table);
  }

  async #write(writer: number): Promise<void> {
    const { writers, rate } = this.#options;
    let place: pg.Pool | undefined;
    const period = (1000 * writers) / rate;
    let last: string | undefined;
    for (let next = Date.now() + (period * writer) / writers; this.#running; next += period) {
      await sleep(Math.max(0, next - Date.now()));
      next = Math.max(next, Date.now() - 5 * period);
      const no = this.#next++;
      const op = `${writer}-${no}`;
      place = await this.#until(place, (at) => this.#insert(at, op));
      this.#ack(op, 0);
      this.#finished.add(no);
      if (last && this.#running) {
        const target = last;
        place = await this.#until(place, (at) => this.#touch(at, target));
        this.#ack(target, 1);
      }
      last = op;
    }
  }

  async #insert(place: pg.Pool, op: string): Promise<void> {
    // A retry after a lost answer must not count as a second write: that is the application's part.
    await place.query(`INSERT INTO ${this.#table()} (op) VALUES ($1) ON CONFLICT (op) DO NOTHING`, [op]);
  }

  async #touch(place: pg.Pool, op: string): Promise<void> {
    const { rowCount } = await place.query(`UPDATE ${this.#table()} SET touched = 1 WHERE op = $1`, [op]);
    if (rowCount !== 1) this.#failures.push(`acknowledged write ${op} is not to be found`);
  }

  #ack(op: string, touched: number): void {
    this.#acknowledged.set(op, touched);
    const now = Date.now();
    this.#longestGap = Math.max(this.#longestGap, now - this.#lastAck);
    this.#lastAck = now;
  }

  /** Runs one operation, looking for the shard again as long as it is not where it was thought to be. */
  async #until(place: pg.Pool | undefined, operation: (place: pg.Pool) => Promise<void>): Promise<pg.Pool> {
    for (;;) {
      place ??= await this.#discover();
      try {
        await operation(place);
        return place;
      } catch (error) {
        place = undefined;
        const { code, message } = error as { code?: string; message: string };
        if (code === UNDEFINED_TABLE) this.#rediscoveries++;
        else if (!isConnectionError(error)) {
          this.#failures.push(`${code ?? ""} ${message}`);
          await sleep(50);
        }
      }
    }
  }

  /** Asks every island which shards are active there, until one answers that ours is. */
  async #discover(): Promise<pg.Pool> {
    const { islands, apiSchema, schema } = this.#options;
    for (let pause = 1; ; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
      for (const dsn of islands) {
        const place = this.#sessions.to(dsn);
        try {
          const { rows } = await place.query<{ active: boolean }>(
            `SELECT $1 = ANY (SELECT nspname FROM unnest(${ident(apiSchema)}.microsharding_list_active_shards()) s
               JOIN pg_namespace n ON n.oid = s) AS active`,
            [schema],
          );
          if (rows[0]!.active) return place;
        } catch (error) {
          if (!isConnectionError(error) && (error as { code?: string }).code !== "3F000") throw error;
        }
      }
      await sleep(pause);
    }
  }
}

/** The server went away or comes back: not an error of the operation. */
function isConnectionError(error: unknown): boolean {
  const { code = "", message } = error as { code?: string; message: string };
  return /^(08|57P0|ECONN|EPIPE)/.test(code) || /terminated|not queryable|closed/i.test(message);
}

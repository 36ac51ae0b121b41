import { setTimeout as sleep } from "node:timers/promises";

import type pg from "pg";

import { messageOf } from "../errors.ts";
import { hasSqlstate, SQLSTATE } from "../postgres/errors/sqlstate.ts";
import { type Balance, Books, type Entry } from "./books.ts";
import { Router } from "./router.ts";

/** What the writers do. Each write has a reference, by which it is found at the end. */
export interface Workload {
  dsns: readonly string[];
  schema: string;
  /** Inserts a row with the reference `$1`; never called twice with the same reference. */
  insert: string;
  /** Adds one to the counter of the row with the reference `$1`. */
  update: string;
  /** Returns `reference`, `updates` (the highest counter) and `rows` for every reference. */
  read: string;
  /** Number of concurrent connections that write. */
  writers: number;
  /** Writes per second of all writers together. */
  rate: number;
}

/** Where a writer believes the shard to be. */
interface Place {
  readonly router: Router;
  client: pg.Client;
}

/** What the application has observed during a period. */
export interface Window {
  /** Longest time without any acknowledged write. */
  longestGapMs: number;
  /** From the moment a write was due to its acknowledgement, including any new lookup of the shard. */
  latenciesMs: number[];
}

/** The application's books compared with the database. */
export interface ApplicationBalance extends Balance {
  /** How often a writer had to look up the shard again. */
  rediscoveries: number;
}

/**
 * An application: its writers insert and update rows of a shard at a steady rate, find the shard by asking the islands,
 * and keep books of the acknowledged writes.
 */
export class Application {
  readonly #books = new Books();
  readonly #routers: Router[];
  #stopping = false;
  #latenciesMs: number[] = [];
  #writers: Promise<unknown> = Promise.resolve();

  constructor(private readonly workload: Workload) {
    const { dsns, schema, writers } = workload;
    this.#routers = Array.from({ length: writers }, () => new Router(dsns, schema));
  }

  /** Writes acknowledged so far. */
  get acknowledged(): number {
    return this.#books.acknowledged;
  }

  /** Starts writing; resolves with the first acknowledged write. */
  async start(): Promise<void> {
    this.#writers = Promise.all(this.#routers.map((router, i) => this.#write(router, i)));
    this.#writers.catch(() => undefined);
    while (this.acknowledged === 0) {
      const [failure] = this.#books.failures;
      if (failure) throw new Error(`The application cannot write: ${failure}`);
      // Writers that cannot even connect throw the reason.
      await Promise.race([sleep(5), this.#writers]);
    }
    this.#books.restartClock();
    this.#latenciesMs = [];
  }

  /** Returns what was observed since the last call, and starts a new window. */
  look(): Window {
    const window = { longestGapMs: this.#books.takeLongestGapMs(), latenciesMs: this.#latenciesMs };
    this.#latenciesMs = [];
    return window;
  }

  /** Stops the writers after their current write, and compares their books with the database. */
  async stop(): Promise<ApplicationBalance> {
    await this.#end();
    const router = new Router(this.workload.dsns, this.workload.schema);
    try {
      return await this.#compare(await router.find());
    } finally {
      await router.close();
    }
  }

  /** Stops the writers without checking what they have written. */
  async abandon(): Promise<void> {
    await this.#end().catch(() => undefined);
  }

  async #end(): Promise<void> {
    this.#stopping = true;
    await this.#writers;
    await Promise.all(this.#routers.map((router) => router.close()));
  }

  async #compare(client: pg.Client): Promise<ApplicationBalance> {
    const { rows } = await client.query<Omit<Entry, "rows"> & { rows: string }>(this.workload.read);
    return {
      ...this.#books.balance(rows.map((row) => ({ ...row, rows: Number(row.rows) }))),
      // The first lookup of each writer is not "again".
      rediscoveries: this.#routers.reduce((sum, router) => sum + router.lookups - 1, 0),
    };
  }

  /** One writer: alternates between an insert and an update of that row, each at its due time. */
  async #write(router: Router, writer: number): Promise<void> {
    const { writers, rate, insert, update } = this.workload;
    const period = (1000 * writers) / rate;
    const place: Place = { router, client: await router.find() };
    let due = performance.now() + (period * writer) / writers;
    for (let count = 0; ; count++, due += period) {
      await sleep(Math.max(0, due - performance.now()));
      if (this.#stopping) return;
      // After a time without writes, the rate is the same as before; missed writes are not made up for.
      due = Math.max(due, performance.now() - period);
      const reference = `${writer}-${Math.floor(count / 2)}`;
      if (count % 2 === 0) await this.#attempt(place, insert, reference, 0, due);
      else if (this.#books.has(reference)) await this.#attempt(place, update, reference, 1, due);
    }
  }

  /** Runs a statement where the shard is, and records that it was acknowledged, or why not. */
  async #attempt(place: Place, sql: string, reference: string, updates: number, due: number): Promise<void> {
    for (;;) {
      try {
        const { rowCount } = await place.client.query(sql, [reference]);
        if (rowCount === 1) this.#acknowledge(reference, updates, due);
        else this.#books.failures.push(`an acknowledged row is missing: ${reference}`);
        return;
      } catch (error) {
        // The shard has moved: an application looks it up again, and repeats the statement.
        if (!hasSqlstate(error, SQLSTATE.undefinedTable)) {
          this.#books.failures.push(messageOf(error));
          return;
        }
        place.client = await place.router.find();
      }
    }
  }

  #acknowledge(reference: string, updates: number, due: number): void {
    this.#books.acknowledge(reference, updates);
    this.#latenciesMs.push(performance.now() - due);
  }
}

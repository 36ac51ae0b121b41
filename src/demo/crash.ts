import { setTimeout as sleep } from "node:timers/promises";

import pg from "pg";

import { type Command, type Place, startWorker } from "../sandbox/commands.ts";

/** Fraction of the shard's bytes that has to arrive before the worker is killed. */
const SHARE = 0.3;
const POLL_MS = 20;
/** Time without any worker: as long as it takes somebody or something to start another one. */
const PAUSE_MS = 1000;

/** When and how the worker was killed. */
export interface Crash {
  /** Pid of the worker that was killed. */
  killed: number;
  /** Pid of the worker that took over. */
  next: number;
  /** Milliseconds since the start of the move. */
  atMs: number;
  /** Bytes that had arrived on the destination. */
  bytes: number;
}

/** The worker of the demo, which is killed and replaced in the middle of the move. */
export class Workers {
  #current: Command | undefined;

  constructor(private readonly place: Place) {}

  async start(): Promise<void> {
    this.#current = await startWorker(this.place);
  }

  /** Waits until some of the rows have arrived, kills the worker with SIGKILL, and starts another one. */
  async crash(
    destination: string,
    schema: string,
    total: number,
    say: (line: string) => void,
    signal: AbortSignal,
  ): Promise<Crash | null> {
    const started = Date.now();
    const bytes = await arrived(destination, schema, SHARE * total, signal);
    if (bytes === null) return null;
    const killed = this.#current!.pid;
    const atMs = Date.now() - started;
    await this.#current!.end("SIGKILL");
    say(`kill -9 ${killed}: the worker is gone, but the writers continue, and PostgreSQL keeps copying rows`);
    await sleep(PAUSE_MS);
    await this.start();
    say(`another worker, process ${this.#current!.pid}, has taken over`);
    return { killed, next: this.#current!.pid, atMs, bytes };
  }

  async stop(): Promise<void> {
    await this.#current?.end("SIGKILL");
  }
}

/** Waits until a server has the given number of bytes of a schema; returns null if told to stop. */
async function arrived(
  dsn: string,
  schema: string,
  wanted: number,
  signal: AbortSignal,
): Promise<number | null> {
  const client = new pg.Client({ connectionString: dsn });
  client.on("error", () => undefined);
  await client.connect();
  try {
    while (!signal.aborted) {
      const { rows } = await client.query<{ bytes: string }>(
        `SELECT coalesce(sum(pg_table_size(oid)), 0) AS bytes FROM pg_class
         WHERE relnamespace = to_regnamespace($1) AND relkind = 'r'`,
        [schema],
      );
      if (Number(rows[0]!.bytes) >= wanted) return Number(rows[0]!.bytes);
      await sleep(POLL_MS);
    }
    return null;
  } finally {
    await client.end();
  }
}

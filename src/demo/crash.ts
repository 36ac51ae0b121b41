import { setTimeout as sleep } from "node:timers/promises";

import pg from "pg";

import { type Command, type Place, startWorker } from "../sandbox/commands.ts";

/** How much of the shard's bytes is to be there when the worker dies. */
const SHARE = 0.3;
const POLL_MS = 20;
/** Time without any worker: as long as it takes somebody, or something, to start another. */
const PAUSE_MS = 1000;

/** What was done to the worker. */
export interface Crash {
  /** Pid of the worker that was killed. */
  killed: number;
  /** Pid of the one that went on. */
  next: number;
  /** After how many milliseconds of the move. */
  atMs: number;
  /** Bytes that had arrived on the destination. */
  bytes: number;
}

/** Works off the tasks of the demo; is killed and replaced in the middle of the move. */
export class Workers {
  #current: Command | undefined;

  constructor(private readonly place: Place) {}

  async start(): Promise<void> {
    this.#current = await startWorker(this.place);
  }

  /** Waits until a part of the rows has arrived, kills the worker with SIGKILL, and starts another. */
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
    say(`kill -9 ${killed}: the worker is gone, the writers go on, and so does PostgreSQL with the rows`);
    await sleep(PAUSE_MS);
    await this.start();
    say(`another worker, process ${this.#current!.pid}, is there`);
    return { killed, next: this.#current!.pid, atMs, bytes };
  }

  async stop(): Promise<void> {
    await this.#current?.end("SIGKILL");
  }
}

/** Waits until so many bytes of a schema are on a server; null when told to stop. */
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

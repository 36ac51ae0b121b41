import { setTimeout as sleep } from "node:timers/promises";

import pg from "pg";

import { bytes } from "../format.ts";
import { type Command, type Place, startWorker } from "../sandbox/commands.ts";

/** Fraction of the shard's bytes that has to arrive before the worker is killed. */
const SHARE = 0.3;
const POLL_MS = 20;
/** Time without any worker: as long as it takes somebody or something to start another one. */
const PAUSE_MS = 1000;
/** How often it is told how much has arrived while nobody works at the move. */
const TELL_MS = 1000;

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

  /** Waits until a part of the rows has arrived, and kills the worker with SIGKILL; returns null if told to stop before. */
  async kill(
    destination: Destination,
    total: number,
    signal: AbortSignal,
  ): Promise<Omit<Crash, "next"> | null> {
    const started = Date.now();
    for (; !signal.aborted; await sleep(POLL_MS)) {
      const arrived = await destination.bytes();
      if (arrived < SHARE * total) continue;
      const killed = this.#current!.pid;
      await this.#current!.end("SIGKILL");
      return { killed, atMs: Date.now() - started, bytes: arrived };
    }
    return null;
  }

  /**
   * Starts another worker, and waits until it works at the move. Temporal gives it the step when the other one has been
   * silent for the step's heartbeat timeout. Returns its pid.
   */
  async replace(destination: Destination, say: (line: string) => void, signal: AbortSignal): Promise<number> {
    let last = "";
    const tell = async (): Promise<void> => {
      const text = `  ${bytes(await destination.bytes())} have arrived`;
      if (text !== last) say(text);
      last = text;
    };
    await sleep(PAUSE_MS);
    await tell();
    await this.start();
    const { pid } = this.#current!;
    const startedAt = new Date();
    say(
      `another worker starts, process ${pid}; Temporal gives it the step as soon as the silence of the first is noticed`,
    );
    let toldAt = Date.now();
    while (!signal.aborted && !(await destination.isWorkedAt(startedAt))) {
      await sleep(POLL_MS);
      if (Date.now() - toldAt < TELL_MS) continue;
      await tell();
      toldAt = Date.now();
    }
    return pid;
  }

  async stop(): Promise<void> {
    await this.#current?.end("SIGKILL");
  }
}

/** The server to which the shard moves, as its administrator sees it. */
export class Destination {
  private constructor(
    private readonly client: pg.Client,
    private readonly schema: string,
  ) {}

  static async connect(dsn: string, schema: string): Promise<Destination> {
    const client = new pg.Client({ connectionString: dsn, application_name: "demo" });
    client.on("error", () => undefined);
    await client.connect();
    return new Destination(client, schema);
  }

  /** Returns how many bytes the tables of the shard have. */
  async bytes(): Promise<number> {
    const { rows } = await this.client.query<{ bytes: string }>(
      `SELECT coalesce(sum(pg_table_size(oid)), 0) AS bytes FROM pg_class
       WHERE relnamespace = to_regnamespace($1) AND relkind = 'r'`,
      [this.schema],
    );
    return Number(rows[0]!.bytes);
  }

  /** Returns true once a worker has opened a session after the given time. */
  async isWorkedAt(since: Date): Promise<boolean> {
    const { rowCount } = await this.client.query(
      `SELECT FROM pg_stat_activity
       WHERE backend_type = 'client backend' AND starts_with(application_name, 'shardferry') AND backend_start > $1`,
      [since],
    );
    return rowCount !== 0;
  }

  async close(): Promise<void> {
    await this.client.end();
  }
}

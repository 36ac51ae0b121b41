import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";

import type { MoveResult } from "../../contract/move.ts";
import { type IslandName, moveWorkflowId } from "../../contract/names.ts";
import { AbortedError, UsageError } from "../errors.ts";
import { bytes } from "../format.ts";
import { install } from "../postgres/api/install.ts";
import { ACTIVE_SHARDS_FUNCTION } from "../postgres/api/shards.ts";
import { parseDsn } from "../postgres/islands/dsn.ts";
import { ident } from "../postgres/quote.ts";
import { Application } from "../sandbox/application.ts";
import type { Place } from "../sandbox/commands.ts";
import {
  closeSandbox,
  ensureServers,
  type PostgresServer,
  startPostgres,
  startTemporal,
  type TemporalServer,
} from "../sandbox/index.ts";
import { isActive } from "../sandbox/router.ts";
import { type Crash, Destination, Workers } from "./crash.ts";
import { MoveCommand } from "./move.ts";
import { type DemoResult, judge, report } from "./report.ts";
import { describeShop, LAST_SHARD, openShop, payments, SCHEMA, SHARD, strayPayments } from "./shop.ts";

const DATABASE = "shop";
const MOVE = moveWorkflowId(SCHEMA);
/** In a terminal, Temporal keeps running for a while, because the history of the move is worth a look. */
const UI_STAYS_MS = 30_000;
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Moves a shard between two throw-away servers while an application writes to it, kills the worker in the middle, and
 * compares the acknowledged writes with the rows. Fails if anything was lost. Everything that it starts ends with it.
 * `SHARDFERRY_DEMO_SCALE` makes the shard smaller or larger; 1 is about 200 MB.
 */
export async function runDemo(say: (line: string) => void): Promise<DemoResult> {
  const stopped = new AbortController();
  const stop = (): void => stopped.abort();
  for (const signal of SIGNALS) process.on(signal, stop);
  const demo = new Demo(say, readScale(), stopped.signal);
  const running = demo.run();
  try {
    return await Promise.race([running, untilStopped(stopped.signal)]);
  } finally {
    stop();
    await demo.close(running);
    for (const signal of SIGNALS) process.off(signal, stop);
  }
}

async function untilStopped(signal: AbortSignal): Promise<never> {
  await once(signal, "abort");
  throw new AbortedError("The demo was stopped, and everything that it had started");
}

function readScale(): number {
  const scale = Number(process.env["SHARDFERRY_DEMO_SCALE"] || 1);
  if (scale > 0) return scale;
  throw new UsageError("SHARDFERRY_DEMO_SCALE must be a number above 0, for example 0.1");
}

/** The demo's servers and the processes that use them. */
class Demo {
  #a!: PostgresServer;
  #b!: PostgresServer;
  #temporal!: TemporalServer;
  #application: Application | undefined;
  #workers: Workers | undefined;
  #running: MoveCommand | undefined;

  constructor(
    private readonly say: (line: string) => void,
    private readonly scale: number,
    private readonly stopped: AbortSignal,
  ) {}

  /** The story, step by step. */
  async run(): Promise<DemoResult> {
    this.say(
      "Shardferry moves a shard from one PostgreSQL server to another while an application writes to it.",
    );
    await this.#startServers();
    const size = await this.#fill();
    await this.#startApplication();
    const { moved, crash, longestGapMs } = await this.#move(size);
    const result = await this.#balance(moved, crash, longestGapMs);
    this.say("The acknowledged writes compared with the rows in the database:");
    report(result, this.say);
    judge(result);
    this.say("Nothing was lost and nothing doubled; the application noticed only a short wait.");
    await this.#keepUi();
    return result;
  }

  /** Ends everything, whatever its state. */
  async close(running: Promise<unknown>): Promise<void> {
    await this.#running?.end();
    await Promise.all([this.#application?.abandon(), this.#workers?.stop()]);
    await closeSandbox();
    // By now, whatever was about to start something has noticed the stop.
    await running.catch(() => undefined);
    await closeSandbox();
  }

  async #startServers(): Promise<void> {
    await ensureServers("any", this.say);
    this.say("Starting two PostgreSQL servers (islands) and a Temporal server, which end with the demo.");
    [this.#a, this.#b, this.#temporal] = await Promise.all([
      startPostgres({ name: "island-a" }),
      startPostgres({ name: "island-b" }),
      startTemporal({ headless: false }),
    ]);
    this.#continue();
    for (const server of [this.#a, this.#b]) {
      await server.withClient((client) => client.query(`CREATE DATABASE ${ident(DATABASE)}`));
      await server.withClient((client) => install(client), DATABASE);
    }
    const [a, b] = this.#islands;
    this.say(`  island A: ${a}, island B: ${b}, both PostgreSQL ${this.#a.version}`);
    this.say(`  Temporal records every step of a move; to watch, open ${this.#temporal.uiAddress}`);
  }

  async #fill(): Promise<number> {
    this.#continue();
    this.say(
      `Island A gets shards ${SHARD} to ${LAST_SHARD}, each a schema. Shard ${SHARD} is filled with a web shop.`,
    );
    await this.#a.withClient((client) => openShop(client, this.scale), DATABASE);
    const shop = await this.#a.withClient(describeShop, DATABASE);
    this.say(`  ${SCHEMA}: ${bytes(shop.bytes)} in ${shop.text}`);
    return shop.heapBytes;
  }

  async #startApplication(): Promise<void> {
    this.#continue();
    const workload = payments(this.#place.dsns);
    this.#application = new Application(workload);
    await this.#application.start();
    this.say(
      `An application starts: ${workload.writers} writers, ${workload.rate} inserts and updates a second.`,
    );
    this.say(
      `  It asks the islands where its shard is (${ACTIVE_SHARDS_FUNCTION}), and asks again when the shard has moved.`,
    );
  }

  async #move(size: number): Promise<{ moved: MoveResult; crash: Crash | null; longestGapMs: number }> {
    this.#continue();
    const [, b] = this.#islands;
    const args = [
      "move",
      `--shard=${SHARD}`,
      `--to=${b}`,
      "--activate-on-destination=yes",
      "--copy-method=tablesync",
    ];
    this.#workers = new Workers(this.#place);
    await this.#workers.start();
    this.#continue();
    this.say("Now the move. In the middle of it, the worker is killed with SIGKILL;");
    this.say(
      "  another one takes over within seconds where the first one stopped, and the writers do not notice.",
    );
    this.#application!.look();
    await this.#command(args);
    const crash = await this.#crash(size);
    const moved = await this.#running!.ended;
    return { moved, crash, longestGapMs: this.#application!.look().longestGapMs };
  }

  /** Kills the worker and starts another one; null if the move has ended before. */
  async #crash(size: number): Promise<Crash | null> {
    const running = this.#running!;
    const over = new AbortController();
    running.ended.then(
      () => over.abort(),
      () => over.abort(),
    );
    const signal = AbortSignal.any([over.signal, this.stopped]);
    const destination = await Destination.connect(this.#b.dsn(DATABASE), SCHEMA);
    try {
      const kill = await this.#workers!.kill(destination, size, signal);
      if (!kill) return null;
      // The live view has the terminal to itself.
      if (running.live) await running.end();
      const say = (line: string): void => this.say(`  ${line}`);
      say(
        `kill -9 ${kill.killed}: the worker is gone, but the writers continue, and PostgreSQL keeps copying rows`,
      );
      const next = await this.#workers!.replace(destination, say, running.live ? this.stopped : signal);
      say(`process ${next} has taken over, where the first one stopped`);
      if (running.live) await this.#command(["attach", MOVE]);
      return { ...kill, next };
    } finally {
      await destination.close();
    }
  }

  /** Runs a command in the foreground, as a user would. */
  async #command(args: readonly string[]): Promise<void> {
    this.#continue();
    this.say(`  $ shardferry ${args.join(" ")}`);
    this.#running = await MoveCommand.start(args, this.#place, this.say);
  }

  async #balance(moved: MoveResult, crash: Crash | null, longestGapMs: number): Promise<DemoResult> {
    const balance = await this.#application!.stop();
    const activeOn: IslandName[] = [];
    for (const [i, server] of [this.#a, this.#b].entries()) {
      const active = await server.withClient((client) => isActive(client, SCHEMA), DATABASE);
      if (active) activeOn.push(this.#islands[i]!);
    }
    const stray = await this.#a.withClient(
      (old) => this.#b.withClient((current) => strayPayments(old, current), DATABASE),
      DATABASE,
    );
    return { ...balance, stray, longestGapMs, move: moved, crash, activeOn, ui: this.#temporal.uiAddress! };
  }

  async #keepUi(): Promise<void> {
    if (!process.stdin.isTTY || !process.stdout.isTTY) return;
    this.say(`Temporal's UI stays up for ${UI_STAYS_MS / 1000} seconds; press Enter to end the demo now.`);
    process.stdin.resume();
    await Promise.race([once(process.stdin, "data"), sleep(UI_STAYS_MS, undefined, { ref: false })]);
    process.stdin.pause();
  }

  get #place(): Place {
    const dsns = [this.#a, this.#b].map((server) => server.dsn(DATABASE));
    return { dsns, temporalAddress: this.#temporal.address };
  }

  get #islands(): IslandName[] {
    return this.#place.dsns.map((dsn) => parseDsn(dsn).name);
  }

  /** Throws once the demo has been stopped, so that nothing more is started. */
  #continue(): void {
    this.stopped.throwIfAborted();
  }
}

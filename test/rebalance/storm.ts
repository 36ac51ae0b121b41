import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";

import {
  type PostgresServer,
  startPostgres,
  startTemporal,
  type TemporalServer,
} from "../../src/sandbox/index.ts";
import type { RebalanceResult } from "../../src/watch/rebalance-result.ts";
import { type Command, run, schemaOf, start } from "../cli/run-command.ts";
import { expectNoLeftovers, waitFor } from "../support/index.ts";
import { Ledger } from "../support/ledger.ts";
import { Sessions } from "../support/sessions.ts";
import { WorkerProcess } from "../support/worker.ts";
import { type Cluster, countsOf, createCluster, createShards, layoutOf } from "./cluster.ts";

/** A shard that cannot be moved: a table of another schema refers to it. */
const STUCK = 5;
/** Sessions to each island that all writers share, so that the moves get their share of two cores. */
const SESSIONS = 6;
/** Each write is an insert, and an update of the previous row. */
const WRITES_PER_SHARD_AND_SECOND = 1.5;

/** A rebalance in which all shards move, from two of four islands to the two others, under writers on each. */
export class Storm {
  readonly cluster: Cluster;
  readonly #ledgers: Ledger[];
  readonly #sessions = new Sessions("ledger", SESSIONS);
  readonly #servers: readonly PostgresServer[];
  readonly #temporal: TemporalServer;
  #worker!: WorkerProcess;
  #command!: Command;

  private constructor(
    cluster: Cluster,
    servers: readonly PostgresServer[],
    temporal: TemporalServer,
    private readonly shards: number,
  ) {
    this.cluster = cluster;
    this.#servers = servers;
    this.#temporal = temporal;
    const islands = cluster.databases.map(({ dsn }) => dsn);
    this.#ledgers = Array.from(
      { length: shards },
      (_, i) =>
        new Ledger({
          islands,
          shard: i + 1,
          schema: schemaOf(i + 1),
          writers: 1,
          rate: WRITES_PER_SHARD_AND_SECOND,
          sessions: this.#sessions,
        }),
    );
  }

  static async begin(shards: number): Promise<Storm> {
    const [temporal, ...servers] = await Promise.all([
      startTemporal(),
      ...["a", "b", "c", "d"].map((name) => startPostgres({ version: 17, name: `storm-${name}` })),
    ]);
    const cluster = await createCluster(servers, 4);
    const [first, second] = cluster.databases;
    await Promise.all([createShards(first!, 1, shards / 2), createShards(second!, shards / 2 + 1, shards)]);
    await first!.rows(`
      CREATE SCHEMA other;
      CREATE TABLE other.bond (user_id bigint REFERENCES ${schemaOf(STUCK)}.users)`);
    const storm = new Storm(cluster, servers, temporal, shards);
    await Promise.all(storm.#ledgers.map((ledger) => ledger.start()));
    await storm.#startWorker();
    storm.#command = start(storm.#args, { env: storm.#env });
    return storm;
  }

  /** Waits until a number of shards have arrived on the given ones of islands 2 and 3. */
  async arrived(shards: number, islands: readonly number[] = [2, 3]): Promise<void> {
    const databases = islands.map((island) => this.cluster.databases[island]!);
    await waitFor(
      async () => {
        const counts = await countsOf({ ...this.cluster, databases });
        return counts.reduce((sum, count) => sum + count, 0) >= shards;
      },
      { what: `${shards} shards to arrive`, timeout: 120_000, every: 200 },
    );
  }

  /** The worker dies of SIGKILL, and another one is started. */
  async loseWorker(): Promise<void> {
    await this.#worker.kill();
    await this.#startWorker();
  }

  async loseTemporal(): Promise<void> {
    await this.#temporal.kill();
    await this.#temporal.start();
  }

  /** One island crashes, and is back after some time. */
  async loseIsland(
    island: number,
    ms: number,
    meanwhile: () => Promise<void> = async () => {},
  ): Promise<void> {
    const server = this.#servers[island]!;
    await server.stop("immediate");
    await Promise.all([sleep(ms), meanwhile()]);
    await server.start();
  }

  /** Every move but one is made, the reason for that one is reported, and the rest takes one more run; no write is lost. */
  async end(): Promise<void> {
    const [first] = this.cluster.databases;
    const { status, stdout, stderr } = await this.#command.ended();
    assert.equal(status, 1, stderr);
    const { moves, failed } = JSON.parse(stdout) as RebalanceResult;
    assert.deepEqual([moves.length, failed.length], [this.shards - 1, 1]);
    assert.deepEqual([failed[0]!.schema, failed[0]!.from], [schemaOf(STUCK), this.cluster.names[0]]);
    assert.match(failed[0]!.reason, /other\.bond/);
    assert.match(stderr, new RegExp(`FAILED ${schemaOf(STUCK)} .*other\\.bond`));
    assert.deepEqual((await layoutOf(this.cluster)).slice(0, 2), [[schemaOf(STUCK)], []]);

    await first!.rows("DROP SCHEMA other CASCADE");
    const again = await run(this.#args, { env: this.#env });
    assert.equal(again.status, 0, again.stderr);
    assert.deepEqual(await countsOf(this.cluster), [0, 0, this.shards / 2, this.shards / 2]);
    await this.#worker.kill();

    const results = await Promise.all(this.#ledgers.map((ledger) => ledger.stop()));
    await this.#sessions.close();
    for (const { lost, doubled, failures, acknowledged } of results) {
      assert.deepEqual([lost, doubled, failures], [0, 0, []]);
      assert.ok(acknowledged > 10, `${acknowledged} writes of one shard were acknowledged`);
    }
    await expectNoLeftovers(...this.cluster.databases);
    await this.#temporal.stop();
  }

  async #startWorker(): Promise<void> {
    const { address } = this.#temporal;
    const dsns = this.cluster.databases.map(({ dsn }) => dsn);
    this.#worker = await WorkerProcess.start({ address, namespace: "default", dsns });
  }

  get #env(): NodeJS.ProcessEnv {
    return { ...this.cluster.env, TEMPORAL_ADDRESS: this.#temporal.address };
  }

  get #args(): string[] {
    const leaving = this.cluster.names.slice(0, 2).join(",");
    return [
      ...["rebalance", "--yes", "--json", "--parallelism=8", `--decommission=${leaving}`],
      // The writers keep making some shards heavier; by count, the result is known.
      "--weight-sql=SELECT 1",
    ];
  }
}

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";

import type { RebalanceResult } from "../../src/operations/rebalance-result.ts";
import { startPostgres, startTemporal } from "../../src/sandbox/index.ts";
import { run, schemaOf, start } from "../cli/support.ts";
import { expectNoLeftovers, waitFor } from "../support/index.ts";
import { Ledger } from "../support/ledger.ts";
import { WorkerProcess } from "../support/worker.ts";
import { type Cluster, countsOf, createCluster, createShards, layoutOf } from "./cluster.ts";

export interface Storm {
  /** Milliseconds that the server of two of the islands is away in the middle; 0 leaves it alone. */
  islandAwayMs: number;
}

/** Shards with writers; the last one is on the island that stays. */
const WRITTEN = [1, 2, 11, 21, 30, 41];
/** What cannot be moved: a table of another schema refers to it. */
const STUCK = 5;

/**
 * Sixty shards on two of four islands, one of which is decommissioned, under writers; the worker is killed in the
 * middle, and Temporal, and one move can never succeed.
 */
export async function rebalanceInStorm({ islandAwayMs }: Storm): Promise<void> {
  const [one, two, temporal] = await Promise.all([
    startPostgres({ version: 17, name: "storm-a" }),
    startPostgres({ version: 17, name: "storm-b" }),
    startTemporal(),
  ]);
  const cluster = await createCluster([one, two], 4);
  const [leaving, staying] = cluster.databases;
  await Promise.all([createShards(leaving!, 1, 30), createShards(staying!, 31, 60)]);
  await leaving!.rows(`
    CREATE SCHEMA other;
    CREATE TABLE other.bond (user_id bigint REFERENCES ${schemaOf(STUCK)}.users)`);
  const dsns = cluster.databases.map(({ dsn }) => dsn);
  const ledgers = WRITTEN.map(
    (shard) => new Ledger({ islands: dsns, shard, schema: schemaOf(shard), writers: 2, rate: 20 }),
  );
  await Promise.all(ledgers.map((ledger) => ledger.start()));

  const place = { address: temporal.address, namespace: "default", dsns };
  const first = await WorkerProcess.start(place);
  const env = { ...cluster.env, TEMPORAL_ADDRESS: temporal.address };
  const args = [
    ...["rebalance", "--yes", "--json", "--parallelism=6", `--decommission=${cluster.names[0]}`],
    // The writers make some shards heavier all the time; counted, it is known what has to come out.
    "--weight-sql=SELECT 1",
  ];
  const command = start(args, { env });

  await moved(cluster, 8);
  await first.kill();
  const second = await WorkerProcess.start(place);
  await moved(cluster, 16);
  await temporal.kill();
  await temporal.start();
  if (islandAwayMs > 0) {
    await moved(cluster, 22);
    await two.stop("immediate");
    await sleep(islandAwayMs);
    await two.start();
  }
  const { status, stdout, stderr } = await command.ended();

  assert.equal(status, 1, stderr);
  const { moves, failed } = JSON.parse(stdout) as RebalanceResult;
  assert.deepEqual([moves.length, failed.length], [39, 1]);
  assert.deepEqual([failed[0]!.schema, failed[0]!.from], [schemaOf(STUCK), cluster.names[0]]);
  assert.match(failed[0]!.reason, /other\.bond/);
  assert.deepEqual((await layoutOf(cluster))[0], [schemaOf(STUCK)]);

  // Put right, the rest of it takes one more run of the same command.
  await leaving!.rows("DROP SCHEMA other CASCADE");
  const again = await run(args, { env });
  assert.equal(again.status, 0, again.stderr);
  assert.deepEqual(await countsOf(cluster), [0, 20, 20, 20]);
  await second.kill();

  for (const ledger of ledgers) {
    const { lost, doubled, failures, acknowledged } = await ledger.stop();
    assert.deepEqual([lost, doubled, failures], [0, 0, []]);
    assert.ok(acknowledged > 100);
  }
  await expectNoLeftovers(...cluster.databases);
  await temporal.stop();
}

/** Waits until so many shards have arrived on the two islands that were empty. */
const moved = (cluster: Cluster, shards: number): Promise<unknown> =>
  waitFor(
    async () => {
      const [, , third, fourth] = await countsOf(cluster);
      return third! + fourth! >= shards;
    },
    { what: `${shards} shards to arrive`, timeout: 120_000, every: 200 },
  );

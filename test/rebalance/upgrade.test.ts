import assert from "node:assert/strict";
import { it } from "node:test";

import { startPostgres } from "../../src/sandbox/index.ts";
import { run, schemaOf } from "../cli/run-command.ts";
import { expectNoLeftovers } from "../support/index.ts";
import { Ledger } from "../support/ledger.ts";
import { countsOf, createCluster, createShards } from "./cluster.ts";

it("an island on PostgreSQL 14 is emptied onto 17 and 18 for its upgrade, and filled again, under writers", async () => {
  const servers = await Promise.all(
    ([14, 17, 18] as const).map((version) => startPostgres({ version, name: `upgrade-${version}` })),
  );
  const cluster = await createCluster(servers, 3);
  await createShards(cluster.databases[0]!, 1, 6);
  const dsns = cluster.databases.map(({ dsn }) => dsn);
  const ledger = new Ledger({ islands: dsns, shard: 3, schema: schemaOf(3), writers: 2, rate: 20 });
  await ledger.start();
  const rebalance = async (...more: string[]): Promise<number[]> => {
    const { status, stderr } = await run(["rebalance", "--yes", "--weight-sql=SELECT 1", ...more], cluster);
    assert.deepEqual([status, stderr], [0, ""]);
    return countsOf(cluster);
  };
  assert.deepEqual(await rebalance(`--decommission=${cluster.names[0]}`), [0, 3, 3]);
  assert.deepEqual(await rebalance(), [2, 2, 2]);
  const { lost, doubled, failures } = await ledger.stop();
  assert.deepEqual([lost, doubled, failures], [0, 0, []]);
  await expectNoLeftovers(...cluster.databases);
});

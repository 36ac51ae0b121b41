import assert from "node:assert/strict";
import { it } from "node:test";

import { startPostgres } from "../../src/sandbox/index.ts";
import type { RebalanceResult } from "../../src/watch/rebalance-result.ts";
import { run } from "../cli/run-command.ts";
import { expectNoLeftovers } from "../support/index.ts";
import { countsOf, createCluster, createShards } from "./cluster.ts";

/** Room for sixty moves at a time on each server. */
const WIDE = {
  max_connections: "600",
  max_replication_slots: "100",
  max_wal_senders: "100",
  max_logical_replication_workers: "100",
  max_worker_processes: "130",
};

it("sixty concurrent moves between two servers, in both directions, all finish", async () => {
  const servers = await Promise.all(
    ["a", "b"].map((name) => startPostgres({ version: 17, name: `wide-${name}`, settings: WIDE })),
  );
  const cluster = await createCluster(servers, 4);
  await createShards(cluster.databases[0]!, 1, 30);
  await createShards(cluster.databases[1]!, 31, 60);
  const leaving = cluster.names.slice(0, 2).join(",");
  const args = [
    "rebalance",
    "--yes",
    "--parallelism=60",
    `--decommission=${leaving}`,
    "--weight-sql=SELECT 1",
  ];
  const began = Date.now();
  const { stdout, stderr } = await run([...args, "--json"], cluster);
  console.log(`60 moves at a time took ${Math.round((Date.now() - began) / 1000)} s`);
  // What node-postgres says after waiting too long for a session of a pool.
  assert.doesNotMatch(stderr, /timeout exceeded/);
  const { moves, failed } = JSON.parse(stdout) as RebalanceResult;
  assert.deepEqual([moves.length, failed], [60, []]);
  assert.deepEqual(await countsOf(cluster), [0, 0, 30, 30]);
  await expectNoLeftovers(...cluster.databases);
});

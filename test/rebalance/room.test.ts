import assert from "node:assert/strict";
import { truncate } from "node:fs/promises";
import { join } from "node:path";
import { it } from "node:test";

import { loadSettings } from "../../src/config/settings.ts";
import { proposeRebalance } from "../../src/operations/rebalance.ts";
import type { RebalanceProposal } from "../../src/operations/rebalance-plan.ts";
import { startPostgres } from "../../src/sandbox/index.ts";
import type { RebalanceResult } from "../../src/watch/rebalance-result.ts";
import { runJson } from "../cli/run-command.ts";
import { countsOf, createCluster, createShards } from "./cluster.ts";

/** PostgreSQL's default settings. */
const DEFAULTS = {
  max_replication_slots: "10",
  max_wal_senders: "10",
  max_logical_replication_workers: "4",
  max_worker_processes: "8",
  max_sync_workers_per_subscription: "2",
};

it("a rebalance starts no more concurrent moves than a server with default settings has workers for", async () => {
  const server = await startPostgres({ version: 17, name: "small", settings: DEFAULTS });
  const cluster = await createCluster([server], 3);
  await createShards(cluster.databases[0]!, 1, 15);

  const propose = async (copyMethod: "direct" | "tablesync"): Promise<RebalanceProposal["rooms"]> => {
    const settings = await loadSettings({ action: "rebalance", env: cluster.env, skipConfig: true });
    return (await proposeRebalance(settings, { copyMethod })).rooms;
  };
  assert.deepEqual(await propose("direct"), [{ islands: cluster.names, leaving: 9, arriving: 3 }]);
  // Each of them takes a worker for the subscription, and two for the tables.
  assert.deepEqual(await propose("tablesync"), [{ islands: cluster.names, leaving: 3, arriving: 1 }]);

  const env = { ...cluster.env, PARALLELISM: "6" };
  const settings = await loadSettings({ action: "rebalance", env, skipConfig: true });
  const { concurrency } = await proposeRebalance(settings, { copyMethod: "direct" });
  assert.deepEqual(concurrency, {
    asked: 6,
    possible: 3,
    because: [`3 moves at a time can reach ${cluster.names.join(", ")} (max_logical_replication_workers)`],
  });

  const result = await runJson<RebalanceResult>(["rebalance", "--yes", "--parallelism=10"], cluster);
  assert.deepEqual([result.moves.length, result.failed], [10, []]);
  assert.deepEqual(await countsOf(cluster), [5, 5, 5]);
});

it("a rebalance plans as many concurrent moves for a shard in which only the indexes are large as for small ones", async () => {
  const server = await startPostgres({ version: 17, name: "indexed", settings: DEFAULTS });
  const cluster = await createCluster([server], 2);
  const [first] = cluster.databases;
  await createShards(first!, 1, 4);
  await first!.rows(
    "CREATE INDEX large_1 ON sh0001.users (id); CREATE INDEX large_2 ON sh0001.users (id); CHECKPOINT",
  );
  const files = await first!.rows<{ path: string }>(
    "SELECT pg_relation_filepath(oid) AS path FROM pg_class WHERE relname LIKE 'large%'",
  );
  // Sparse files take no space, and count like full ones.
  for (const { path } of files) await truncate(join(server.dataDir, path), 700 * 1024 ** 2);
  const settings = await loadSettings({ action: "rebalance", env: cluster.env, skipConfig: true });
  const { plan, rooms } = await proposeRebalance(settings, { decommission: [cluster.names[0]!] });
  assert.ok(plan.moves.some(({ bytes }) => bytes > 1024 ** 3));
  assert.deepEqual(rooms, [{ islands: cluster.names, leaving: 9, arriving: 3 }]);
});

import assert from "node:assert/strict";
import { it } from "node:test";

import { loadSettings } from "../../src/config/settings.ts";
import type { RebalanceProposal } from "../../src/operations/rebalance.ts";
import { proposeRebalance } from "../../src/operations/rebalance.ts";
import { startPostgres } from "../../src/sandbox/index.ts";
import type { RebalanceResult } from "../../src/watch/rebalance-result.ts";
import { runJson } from "../cli/support.ts";
import { countsOf, createCluster, createShards } from "./cluster.ts";

/** What PostgreSQL has where nobody has set anything. */
const DEFAULTS = {
  max_replication_slots: "10",
  max_wal_senders: "10",
  max_logical_replication_workers: "4",
  max_worker_processes: "8",
  max_sync_workers_per_subscription: "2",
};

it("a rebalance starts no more moves at a time than a server with default settings has workers for", async () => {
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

  const result = await runJson<RebalanceResult>(["rebalance", "--yes", "--parallelism=10"], cluster);
  assert.deepEqual([result.moves.length, result.failed], [10, []]);
  assert.deepEqual(await countsOf(cluster), [5, 5, 5]);
});

import type { Layout, ShardInfo } from "../../../src/layout/read.ts";
import type { Diagnosis } from "../../../src/operations/doctor.ts";
import type { History, HistoryEntry } from "../../../src/operations/history.ts";
import type { RebalanceProposal } from "../../../src/operations/rebalance-plan.ts";
import { planRebalance } from "../../../src/rebalance/plan.ts";
import { FROM, TO } from "./snapshots.ts";

const shard = (no: number): ShardInfo => ({
  no,
  schema: `sh00${no}`,
  weight: (no * 37) << 20,
  unit: "B",
  factor: 1,
  tables: 12,
  bytes: (no * 37) << 20,
  other: {},
  statistics: {
    inserts: no * 120_345,
    updates: no * 98_765,
    deletes: no * 1_234,
    indexScans: no * 9_876_543,
    sequentialScans: no * 12,
  },
});

/** Two islands, with and without the columns of `--verbose`. */
export function layout(verbose: boolean): Layout {
  const shards = [41, 42, 43]
    .map(shard)
    .map(({ statistics, ...plain }) => (verbose ? { ...plain, statistics: statistics! } : plain));
  return {
    weightName: "Size",
    islands: [
      { island: FROM, installed: true, serverVersion: 170_006, shards },
      { island: TO, installed: false, serverVersion: 170_006, shards: [] },
    ],
  };
}

const OLD = "pg-shards-old.eu-central.shards.example.com:5432/app";

/** A plan that empties an island, and meets everything that can be said of one. */
export const proposal: RebalanceProposal = (() => {
  const shards = Array.from({ length: 24 }, (_, i) => shard(i + 10));
  const global: ShardInfo = { ...shard(10), no: 0, schema: "sh0000" };
  const plan = planRebalance(
    [
      { island: OLD, shards: [global, ...shards.slice(0, 8)] },
      { island: FROM, shards: shards.slice(8) },
      { island: TO, shards: [] },
    ],
    { decommission: [OLD], inTheWay: [{ schema: "sh0033", island: TO }] },
  );
  return {
    plan,
    unit: "B",
    rooms: [],
    moves: plan.moves,
    remaining: 0,
    basis: { decommission: [OLD], maxBytes: null, weightSql: null },
    concurrency: { asked: 6, possible: 2, because: [`max_replication_slots of ${FROM} leaves 2`] },
    expectedMs: 95_000,
  };
})();

/** What `doctor` has to say that somebody has to do. */
export const REMEDIES = [
  `wal_level is "replica": set wal_level = logical in postgresql.conf of ${FROM}, and restart it`,
  "sh0042.events has no primary key: ALTER TABLE sh0042.events ADD PRIMARY KEY (id), or its rows are copied while writers wait",
];

export const diagnosis: Diagnosis = {
  checked: `move of sh0042 from ${FROM} to ${TO}`,
  findings: [
    { code: "source_capacity", island: FROM, severity: "problem", text: REMEDIES[0]!, sql: [] },
    { code: "no_key", island: FROM, severity: "warning", text: REMEDIES[1]!, sql: [] },
  ],
  fine: ["same_database", "schema", "server_version", "encoding", "roles", "tablespaces", "locks"],
  servers: [
    { island: FROM, version: "17.6" },
    { island: TO, version: "17.6" },
  ],
  leftovers: null,
  temporal: {
    address: "127.0.0.1:43117",
    namespace: "default",
    embedded: true,
    version: "1.29.1",
    workers: [],
    problem: null,
  },
  size: { tables: 12, rows: 4_689_781, bytes: 698 << 20, expectedMs: 95_000 },
};

/** What is worth reading in full. */
export const WHY =
  "pg-shards-01.eu-central.shards.example.com:5432/app: replication slot was lost: raise max_slot_wal_keep_size";

const MOVED: HistoryEntry = {
  kind: "move",
  name: "sh0042",
  schemas: ["sh0042"],
  islands: [FROM, TO],
  from: FROM,
  to: TO,
  startedBy: "ann@laptop",
  startedAt: Date.parse("2026-11-29T11:47:26Z"),
  endedAt: Date.parse("2026-11-29T11:51:31Z"),
  sizeBytes: 698 << 20,
  copiedBytes: 429 << 20,
  rows: 4_689_781,
  writeBlocked: { attempts: 14, totalMs: 1204, longestMs: 117, atMost: false },
  verified: { tables: 12, rows: 4_689_781 },
  outcome: "moved",
  reason: null,
  workflowId: "move-sh0042",
  runId: "1",
  recordedBy: [
    { island: FROM, role: "shardferry" },
    { island: TO, role: "shardferry" },
  ],
};

const NOTHING = { sizeBytes: null, copiedBytes: null, rows: null, writeBlocked: null, verified: null };

/** Operations of every kind, an island that does not answer, and one that was installed earlier. */
export const past: History = {
  entries: [
    MOVED,
    {
      ...MOVED,
      ...NOTHING,
      kind: "rehearsal",
      name: "sh0043",
      outcome: "failed",
      reason: { code: "slot_lost", text: WHY },
    },
    {
      ...MOVED,
      kind: "copy",
      name: "reports",
      outcome: "aborted",
      writeBlocked: null,
      verified: null,
      startedBy: null,
    },
    { ...MOVED, ...NOTHING, kind: "migration", name: "add-note", from: null, to: null, outcome: "changed" },
    {
      ...MOVED,
      ...NOTHING,
      rows: MOVED.rows,
      verified: MOVED.verified,
      kind: "verification",
      outcome: "differs",
      reason: { code: "differs", text: "2 rows differ" },
    },
  ],
  unreachable: [
    { island: "pg-shards-09.eu-central.shards.example.com:5432/app", reason: "connection refused" },
  ],
  withoutHistory: ["pg-shards-08.eu-central.shards.example.com:5432/app"],
};

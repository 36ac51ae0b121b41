import { STEPS } from "../../../contract/move.ts";
import type { MovePhase, StepProgress } from "../../../contract/progress.ts";
import type { RebalanceProgress } from "../../../contract/rebalance.ts";
import type { Progress, StepName } from "../../../contract/story.ts";
import type { Snapshot } from "../../../src/watch/snapshot.ts";

/** The moment of all pictures. */
export const NOW = Date.parse("2026-11-30T12:00:00Z");
const STARTED = NOW - 754_000;
const HOST = "eu-central.shards.example.com";
export const FROM = `pg-shards-01.${HOST}:5432/app`;
export const TO = `pg-shards-07.${HOST}:5432/app`;
const RUN = "01936d2c-7a1b-7c3e-9d4f-5a6b7c8d9e0f";
const linkOf = (workflowId: string): string =>
  `http://127.0.0.1:38233/namespaces/default/workflows/${workflowId}/${RUN}`;

export const BLOCKER =
  `pid 41244 reporting (nightly-report) on ${FROM}, idle in transaction for 1843 s, ended by ` +
  "SELECT pg_terminate_backend(41244): SELECT o.id, o.total, c.name FROM orders o JOIN customers c ON c.id = o.customer_id " +
  "WHERE o.created_at > now() - interval '30 days' ORDER BY o.total DESC";

/** What each step tells, as recorded of a move of 12 tables. */
const TOLD: Partial<Record<StepName, string>> = {
  preflight: "nothing is in the way: 12 tables, 698 MiB, copied by tablesync",
  "create structure": "created 12 tables as sh0042new20261130114726",
  subscribe: "created the slot, publication and subscription sh_mv_sh0042",
  tablesync: "copied 4,689,781 rows, 474 MiB, by 4 workers",
  "build indexes": "built 31 indexes and 12 primary keys",
  analyze: "analyzed 12 tables; 2 materialized views were refreshed",
  "wait for lag": "2 physical replicas at most 0.31 s behind (limit 20 s)",
  "lock and switch":
    "switched; writers were blocked for 1,204 ms in all by 14 attempts, 117 ms at the longest; the old copy is sh0042old20261130115926",
  "clean up": "dropped the subscription, the publication and the slot; FAILED: the debug views are in use",
};

interface Situation {
  phase?: MovePhase;
  step: StepName;
  /** The steps that have told something. */
  done: readonly StepName[];
  percent: number;
  waitingFor?: string;
  details?: StepProgress;
  failure?: string;
  secondsLeft?: number;
}

/** A move at one moment. */
export function moveAt({ phase = "running", step, done, percent, ...more }: Situation): Snapshot {
  const workflowId = "move-sh0042";
  const running = ["running", "paused", "aborting"].includes(phase);
  const progress: Progress = {
    workflowId,
    schema: "sh0042",
    from: FROM,
    to: TO,
    phase,
    steps: STEPS,
    step,
    percent,
    startedAt: STARTED,
    waitingFor: phase === "paused" ? (more.waitingFor ?? null) : null,
    events: done.map((name, i) => ({ at: STARTED + 40_000 * (i + 1), step: name, text: TOLD[name] ?? name })),
    sizeBytes: 698 << 20,
    secondsLeft: more.secondsLeft,
  };
  const details: StepProgress = { ...more.details };
  if (phase !== "paused" && more.waitingFor !== undefined) details.waitingFor = more.waitingFor;
  const activity = {
    step,
    running: true,
    attempt: more.failure ? 3 : 1,
    details,
    failure: more.failure ?? null,
  };
  return {
    workflowId,
    runId: RUN,
    type: "move",
    running,
    historyLength: 60,
    request: { schema: "sh0042", from: FROM, to: TO },
    progress,
    activities: running && phase !== "paused" ? [activity] : [],
    walKeptBytes: running ? 1_288_490_189 : null,
    idleQueue: null,
    embedded: true,
    endedAt: running ? null : STARTED + 34_500,
    link: linkOf(workflowId),
  };
}

const islandOf = (i: number): string => `pg-shards-0${i}.${HOST}:5432/app`;
const REASON =
  'relation "sh0007.orders" is locked by pid 977 app (checkout), idle in transaction for 912 s: end it, or give the move more time (--max-write-block-ms), and run it again';

const COPYING: StepProgress = { tuples: 120_000, tuplesTotal: 480_000, bytes: 60 << 20 };

/** A rebalance in the middle, or at its end with a failure. */
export function rebalanceAt(phase: "running" | "aborting" | "done"): {
  snapshot: Snapshot;
  moves: Snapshot[];
} {
  const running =
    phase === "done"
      ? []
      : [1, 2, 3].map((i) => ({
          workflowId: `move-sh001${i}`,
          schema: `sh001${i}`,
          from: islandOf(1),
          to: islandOf(i + 1),
          bytes: 300 << 20,
          startedAt: STARTED + 100_000 * i,
          percent: 20 * i,
        }));
  const progress: RebalanceProgress = {
    workflowId: "rebalance",
    phase,
    step: "moves",
    percent: phase === "done" ? 100 : 41.5,
    startedAt: STARTED,
    pausedSince: null,
    pausedMs: 0,
    waitingFor: null,
    events: [
      {
        at: STARTED + 90_000,
        text: `moved sh0003 ${islandOf(1)} → ${islandOf(2)}: 120000 rows in 1 min 30 s`,
      },
      { at: STARTED + 95_000, text: `FAILED sh0007 ${islandOf(1)} → ${islandOf(3)}: ${REASON}` },
      {
        at: STARTED + 99_000,
        text: `moved sh0004 ${islandOf(1)} → ${islandOf(2)}: 110000 rows in 1 min 20 s`,
      },
    ],
    total: phase === "done" ? 3 : 9,
    done: 2,
    failed: 1,
    bytes: 2700 * 1024 ** 2,
    bytesDone: 600 * 1024 ** 2,
    running,
    failures: [{ schema: "sh0007", from: islandOf(1), to: islandOf(3), reason: REASON }],
  };
  const base = moveAt({ step: "tablesync", done: [], percent: 0 });
  const { activities: _activities, ...whole } = base;
  const moves = running.map(({ workflowId, schema, from, to, percent }, i): Snapshot => {
    const look =
      i === 0
        ? moveAt({ step: "lock and switch", done: ["preflight"], percent, waitingFor: BLOCKER })
        : moveAt({ step: "tablesync", done: ["preflight"], percent, details: COPYING });
    return { ...look, workflowId, progress: { ...look.progress!, workflowId, schema, from, to } };
  });
  const snapshot: Snapshot = {
    ...whole,
    workflowId: "rebalance",
    type: "rebalance",
    running: phase !== "done",
    activities: [],
    walKeptBytes: null,
    endedAt: phase === "done" ? STARTED + 300_000 : null,
    link: linkOf("rebalance"),
    // A rebalance answers the same query with a progress of its own.
    progress: progress as unknown as Progress,
  };
  return { snapshot, moves };
}

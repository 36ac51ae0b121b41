import { Context } from "@temporalio/activity";
import { ApplicationFailure } from "@temporalio/common";
import { NativeConnection, Worker } from "@temporalio/worker";

import { toFailure } from "../../activities/attempt/failures.ts";
import { joinMove } from "../../activities/join-move.ts";
import type { HistoryActivities } from "../../contract/history.ts";
import type { MigrateActivities } from "../../contract/migrate.ts";
import {
  type Activities,
  type JoinInput,
  type MoveInput,
  type MoveResult,
  type Preflight,
  type StepInput,
} from "../../contract/move.ts";
import { TASK_QUEUE, WAIT_QUEUE } from "../../contract/names.ts";
import type { VerifyActivities } from "../../contract/verify.ts";
import type { WayBackActivities } from "../../contract/way-back.ts";
import { moveInput } from "../support/move-input.ts";
import type { TestNamespace } from "../support/temporal.ts";
import { bundleWorkflows } from "../support/workflow-bundle.ts";

/** What a mocked step does instead of its work. */
export type Behaviour = "fails once" | "fails for good" | "waits for its cancellation";

const DATABASE = {
  systemIdentifier: "1",
  databaseOid: "1",
  timeline: "00000001",
  serverMajor: 17,
  superuser: true,
};
const PLAN: Preflight = {
  copyMethod: "direct",
  tables: 1,
  bytes: 1,
  rows: 1,
  source: DATABASE,
  destination: DATABASE,
  identityOverrides: [],
  lockedCopies: [],
  warnings: [],
};

const done = { text: "done" };
const switched = { ...done, writeBlockedMs: 1, leftover: "sh0042old_20260101000000" };
const prepared = { island: "a:5432/app", gid: "g", witness: "sh0001" };
type AllActivities = Activities &
  MigrateActivities &
  VerifyActivities &
  HistoryActivities &
  WayBackActivities;
type Mocked = Exclude<keyof AllActivities, "join move" | "watch WAL" | "watch way back" | "record history">;
const RESULTS: { [Step in Mocked]: Awaited<ReturnType<AllActivities[Step]>> } = {
  preflight: PLAN,
  "create structure": { ...done, fingerprint: "f", replicasBehind: false },
  subscribe: done,
  tablesync: { ...done, rows: 1, bytes: 1, replicasBehind: false },
  "build indexes": done,
  analyze: done,
  "wait for lag": done,
  "compare copies": {
    ...done,
    tables: 1,
    rows: 1,
    bytes: 1,
    differences: [],
    more: false,
    changing: [],
  },
  verify: { ...done, tables: 1, rows: 1, changing: [] },
  "lock and switch": switched,
  "rehearse switch": { ...switched, blockers: [] },
  "settle switch": null,
  "finish copy": switched,
  "clean up": done,
  "keep lease": undefined,
  "drop replication": done,
  "drop structure": done,
  "lease shards": { ...done, islands: [{ island: "a:5432/app", schemas: ["sh0001", "sh0002"], skipped: 1 }] },
  "prepare everywhere": { ...done, prepared: [prepared], lockedAt: 1_700_000_000_000 },
  "commit everywhere": { ...done, committedAt: 1_700_000_000_001 },
  "roll back everywhere": done,
  "change each shard": done,
  "release shards": done,
  "prepare way back": done,
  "open way back": done,
  "close way back": { ...done, rolledBack: false },
};

/** What a step that fails has reported before. */
export const BLOCKED = { attempts: 2, longestMs: 30, totalMs: 50, atMost: false };

/** The inputs of the steps that ran last. */
export const inputs = new Map<string, unknown>();

/** How each step behaves: always, or depending on the schema on which it works. */
export type Behaviours = Partial<
  Record<keyof AllActivities, Behaviour | ((schema: string) => Behaviour | undefined)>
>;

/** Runs workers whose steps only record that they ran, and returns the steps in their order. */
export async function withMockedSteps(
  { address, namespace }: TestNamespace,
  behaviours: Behaviours,
  use: () => Promise<void>,
): Promise<string[]> {
  const ran: string[] = [];
  const activities = Object.fromEntries(
    Object.entries(RESULTS).map(([step, result]) => [
      step,
      async (input: { request: MoveInput }) => {
        ran.push(step);
        inputs.set(step, input);
        const how = behaviours[step as Mocked];
        await behave(typeof how === "function" ? how(input.request.schema) : how, ran, step);
        return result;
      },
    ]),
  );
  const connection = await NativeConnection.connect({ address });
  // This one only looks at Temporal.
  const join = (input: JoinInput): Promise<MoveResult> =>
    joinMove(input).catch((error: unknown) => Promise.reject(toFailure(error, (text) => text)));
  // Runs beside the steps, and so has no place in their order.
  const watch = ({ request }: StepInput): Promise<void> => {
    const how = behaviours["watch WAL"];
    return behave(typeof how === "function" ? how(request.schema) : how, ran, "watch WAL");
  };
  const watchWay = (): Promise<void> => behave("waits for its cancellation", ran, "watch way back");
  const all = {
    ...activities,
    "join move": join,
    "watch WAL": watch,
    "watch way back": watchWay,
    "record history": () => null,
  };
  const common = { connection, namespace, activities: all, maxHeartbeatThrottleInterval: "100ms" } as const;
  const codePath = await bundleWorkflows();
  const workers = [
    await Worker.create({ ...common, taskQueue: TASK_QUEUE, workflowBundle: { codePath } }),
    await Worker.create({ ...common, taskQueue: WAIT_QUEUE }),
  ];
  const [first, second] = workers;
  await first!.runUntil(second!.runUntil(use()));
  await connection.close();
  return ran;
}

async function behave(behaviour: Behaviour | undefined, ran: string[], step: string): Promise<void> {
  if (behaviour === "fails for good")
    throw ApplicationFailure.create({
      message: `${step} failed`,
      type: "mock",
      nonRetryable: true,
      details: [{ blocked: BLOCKED }],
    });
  if (behaviour === "fails once" && ran.filter((other) => other === step).length === 1)
    throw ApplicationFailure.create({ message: "passing", type: "mock" });
  if (behaviour !== "waits for its cancellation") return;
  const beating = setInterval(() => Context.current().heartbeat(), 50);
  await Context.current().cancelled.finally(() => clearInterval(beating));
}

/** The input of a move between two islands that do not really exist. */
export const INPUT = moveInput({ shard: 42, schema: "sh0042", from: "a:5432/app", to: "b:5432/app" });

import { after } from "node:test";

import { Client, Connection, type WorkflowHandle } from "@temporalio/client";

import { type CopyInput, type MoveInput } from "../../contract/move.ts";
import {
  copyWorkflowId,
  type IslandName,
  moveWorkflowId,
  REQUEST_MEMO,
  TASK_QUEUE,
  verifyWorkflowId,
} from "../../contract/names.ts";
import { type StepProgress } from "../../contract/progress.ts";
import { type Progress } from "../../contract/story.ts";
import type { VerifyInput } from "../../contract/verify.ts";
import { install } from "../../src/postgres/api/install.ts";
import { parseDsn } from "../../src/postgres/islands/dsn.ts";
import type { copy, move, verify } from "../../workflows/index.ts";
import { progressQuery } from "../../workflows/signals.ts";
import { createDatabase, type TestDatabase } from "./database.ts";
import { copyInput, moveInput } from "./move-input.ts";
import { testIslands, type TestServer } from "./servers.ts";
import { createNamespace, type TestNamespace } from "./temporal.ts";
import { waitFor } from "./wait.ts";
import { type WorkerOptions, WorkerProcess } from "./worker.ts";

/** PENDING_ACTIVITY_STATE_CANCEL_REQUESTED of Temporal's API. */
const PENDING_CANCEL = 3;

export interface WorldOptions {
  /** The islands' servers; the shared ones by default. */
  servers?: { a: TestServer; b: TestServer };
  /** The islands of another world, for use from another Temporal namespace. */
  islands?: { a: TestDatabase; b: TestDatabase };
  /** Where the workflows run; by default, a namespace of the shared server. */
  temporal?: TestNamespace;
  /** For all tests of the file, not only the current one: for worlds that are created in `before`. */
  forFile?: boolean;
}

/** Two databases with the SQL API on two servers, a Temporal namespace, and workers as needed. */
export class World {
  readonly #workers: WorkerProcess[] = [];

  constructor(
    readonly a: TestDatabase,
    readonly b: TestDatabase,
    readonly temporal: TestNamespace,
    readonly client: Client,
    readonly connection: Connection,
  ) {}

  /** Starts a worker that ends with this world. */
  async startWorker(
    options: Pick<WorkerOptions, "fault" | "mode" | "env"> & { dsns?: string[] } = {},
  ): Promise<WorkerProcess> {
    const worker = await WorkerProcess.start({
      ...this.temporal,
      dsns: [this.a.dsn, this.b.dsn],
      ...options,
    });
    this.#workers.push(worker);
    return worker;
  }

  /** Stops the workers and closes the connection to Temporal. */
  async end(): Promise<void> {
    worlds.delete(this);
    await Promise.all(this.#workers.map((worker) => worker.release()));
    await this.connection.close();
  }

  #where(): { schema: string; from: IslandName; to: IslandName } {
    return { schema: "sh0042", from: parseDsn(this.a.dsn).name, to: parseDsn(this.b.dsn).name };
  }

  /** Returns the input of a move of shard 42 from a to b. */
  input(overrides: Partial<MoveInput> = {}): MoveInput {
    return moveInput({ shard: 42, ...this.#where(), ...overrides });
  }

  async startMove(overrides?: Partial<MoveInput>): Promise<WorkflowHandle<typeof move>> {
    const request = this.input(overrides);
    return this.client.workflow.start<typeof move>("move", {
      workflowId: moveWorkflowId(request.schema),
      taskQueue: TASK_QUEUE,
      args: [request],
      memo: { [REQUEST_MEMO]: request },
    });
  }

  /** Starts the comparison of shard 42 with a copy of the same name on the other island. */
  async startVerify(overrides: Partial<VerifyInput> = {}): Promise<WorkflowHandle<typeof verify>> {
    const input = { ...this.#where(), toSchema: "sh0042", maxReplicationLagSec: 20, ...overrides };
    const workflowId = verifyWorkflowId(input.schema);
    return this.client.workflow.start<typeof verify>("verify", {
      workflowId,
      taskQueue: TASK_QUEUE,
      args: [input],
    });
  }

  async startCopy(overrides: Partial<CopyInput> = {}): Promise<WorkflowHandle<typeof copy>> {
    const request = copyInput({ ...this.#where(), ...overrides });
    return this.client.workflow.start<typeof copy>("copy", {
      workflowId: copyWorkflowId(request.schema, request.to),
      taskQueue: TASK_QUEUE,
      args: [request],
      memo: { [REQUEST_MEMO]: request },
    });
  }
}

const worlds = new Set<World>();
after(async () => {
  for (const world of worlds) await world.end();
});

/** Creates a world, which ends with the current test; its databases are dropped at the end of the file. */
export async function createWorld(options: WorldOptions = {}): Promise<World> {
  const { servers, islands, temporal, forFile } = options;
  const { a, b } = islands ?? (await createIslands(servers ?? (await testIslands())));
  const place = temporal ?? (await createNamespace());
  const connection = await Connection.connect({ address: place.address });
  const world = new World(a, b, place, new Client({ connection, namespace: place.namespace }), connection);
  worlds.add(world);
  // A hook of the current test.
  if (!forFile) after(() => world.end());
  return world;
}

/** Creates a database with the SQL API on each of the servers. */
async function createIslands(servers: {
  a: TestServer;
  b: TestServer;
}): Promise<{ a: TestDatabase; b: TestDatabase }> {
  const [a, b] = await Promise.all([createDatabase(servers.a), createDatabase(servers.b)]);
  await Promise.all([a, b].map((database) => database.withClient((client) => install(client))));
  return { a, b };
}

/** Creates a shard with some tables in a database, and activates it there. */
export async function createShard(database: TestDatabase, shard: number, sql: string): Promise<void> {
  await database.withClient(async (client) => {
    await client.query("SELECT microsharding.microsharding_ensure_exist($1)", [shard]);
    await client.query(sql);
    await client.query("SELECT microsharding.microsharding_ensure_active($1)", [shard]);
  });
}

/** Returns the names of the databases in which a shard is active. */
export async function activePlaces(schema: string, ...databases: TestDatabase[]): Promise<string[]> {
  const places: string[] = [];
  for (const database of databases) {
    const rows = await database.rows<{ name: string }>(
      "SELECT n.nspname AS name FROM unnest(microsharding.microsharding_list_active_shards()) s JOIN pg_namespace n ON n.oid = s",
    );
    if (rows.some((row) => row.name === schema)) places.push(database.name);
  }
  return places;
}

/** Waits until a move or copy pauses for its confirmation, and returns its progress. */
export async function untilPaused(handle: Pick<WorkflowHandle, "query">): Promise<Progress> {
  const paused = async (): Promise<Progress | null> => {
    const progress = await handle.query<Progress>(progressQuery);
    return progress.phase === "paused" ? progress : null;
  };
  return waitFor(paused, { what: "the pause before the switch" });
}

/** Returns the result of a workflow; throws an error with the message of the root cause if it failed. */
export async function resultOf<T>(handle: { result(): Promise<T> }): Promise<T> {
  try {
    return await handle.result();
  } catch (error) {
    throw new Error(rootMessage(error), { cause: error });
  }
}

/** Returns the message of the innermost cause. */
function rootMessage(error: unknown): string {
  let inner = error as Error;
  while (inner.cause instanceof Error) inner = inner.cause;
  return inner.message;
}

interface Report {
  attempt: number;
  details: Partial<StepProgress>;
}

/** Returns what the running activities report in their heartbeats, and in which attempt of Temporal's. */
async function allReports(handle: WorkflowHandle): Promise<(Report & { name: string })[]> {
  const { raw } = await handle.describe();
  return (raw.pendingActivities ?? []).map(({ activityType, attempt, heartbeatDetails }) => {
    const data = heartbeatDetails?.payloads?.[0]?.data;
    const details = data && (JSON.parse(Buffer.from(data).toString()) as StepProgress | null);
    return { name: activityType?.name ?? "", attempt: attempt ?? 0, details: details || {} };
  });
}

/** Returns the reports of the running steps. */
export const reportsOf = async (handle: WorkflowHandle): Promise<Report[]> =>
  (await allReports(handle)).filter(({ name }) => name !== "watch WAL");

/** Returns the WAL that the source keeps for a move, according to what watches it beside the steps. */
export const walKeptOf = async (handle: WorkflowHandle): Promise<number | undefined> =>
  (await allReports(handle)).find(({ name }) => name === "watch WAL")?.details.walKeptBytes;

/** Returns what the running step is waiting for, according to its heartbeats. */
export async function waitingFor(handle: WorkflowHandle): Promise<string | undefined> {
  const reports = await reportsOf(handle);
  return reports.find(({ details }) => details.waitingFor)?.details.waitingFor;
}

/** Lets the worker continue once the step itself has been told: until then the abort is still on its way to it. */
export async function goOnWhenAsked(worker: WorkerProcess, handle: WorkflowHandle): Promise<void> {
  await waitFor(() => cancelRequested(handle), { what: "the abort to reach the step" });
  worker.goOn();
}

/** Returns true once Temporal has requested the cancellation of the running step. */
async function cancelRequested(handle: WorkflowHandle): Promise<boolean> {
  const { raw } = await handle.describe();
  return (raw.pendingActivities ?? []).some(({ state }) => Number(state) === PENDING_CANCEL);
}

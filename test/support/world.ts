import { type ChildProcess, fork } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { fileURLToPath } from "node:url";

import { Client, Connection, type WorkflowHandle } from "@temporalio/client";

import { install } from "../../src/install.ts";
import { parseDsn } from "../../src/postgres/dsn.ts";
import { type MoveInput, moveWorkflowId, REQUEST_MEMO, TASK_QUEUE } from "../../workflows/contract.ts";
import type { move } from "../../workflows/index.ts";
import { createDatabase, type TestDatabase } from "./database.ts";
import { testIslands, type TestServer } from "./servers.ts";
import { createNamespace } from "./temporal.ts";

/** Two databases with the SQL API on two servers, a Temporal namespace, and workers as wanted. */
export interface World {
  a: TestDatabase;
  b: TestDatabase;
  client: Client;
  address: string;
  namespace: string;
  startWorker(options?: { fault?: string; env?: Record<string, string> }): Promise<WorkerProcess>;
  input(overrides?: Partial<MoveInput>): MoveInput;
  startMove(overrides?: Partial<MoveInput>): Promise<WorkflowHandle<typeof move>>;
}

export class WorkerProcess {
  constructor(readonly child: ChildProcess) {}

  /** SIGKILL, and waits until it is gone. */
  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.kill("SIGKILL");
    await once(this.child, "exit");
  }

  /** Resolves when the process is gone, by whatever means. */
  async gone(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, "exit");
  }
}

const SCRIPT = fileURLToPath(new URL("./worker-process.ts", import.meta.url));

/** Makes a world; everything in it ends with the test file. */
export async function createWorld(servers?: { a: TestServer; b: TestServer }): Promise<World> {
  const { a: serverA, b: serverB } = servers ?? (await testIslands());
  const [a, b] = await Promise.all([createDatabase(serverA), createDatabase(serverB)]);
  await Promise.all([a, b].map((database) => database.withClient((client) => install(client))));
  const { address, namespace } = await createNamespace();
  const connection = await Connection.connect({ address });
  const client = new Client({ connection, namespace });
  const workers: WorkerProcess[] = [];
  after(async () => {
    await Promise.all(workers.map((worker) => worker.kill()));
    await connection.close();
  });

  const input = (overrides: Partial<MoveInput> = {}): MoveInput => ({
    shard: 42,
    schema: "sh0042",
    from: parseDsn(a.dsn).name,
    to: parseDsn(b.dsn).name,
    wait: false,
    validateFks: false,
    maxReplicationLagSec: 20,
    copyMethod: "auto",
    activateOnDestination: true,
    maxWriteBlockMs: 3000,
    deactivateSql: null,
    ...overrides,
  });

  return {
    a,
    b,
    client,
    address,
    namespace,
    input,
    async startWorker({ fault, env = {} } = {}) {
      const child = fork(SCRIPT, {
        env: {
          ...process.env,
          ...env,
          TEST_ADDRESS: address,
          TEST_NAMESPACE: namespace,
          TEST_DSNS: `${a.dsn},${b.dsn}`,
          TEST_FAULT: fault ?? "",
          TEST_FAULT_FILE: join(tmpdir(), `shardferry-fault-${randomBytes(6).toString("hex")}`),
        },
        execArgv: ["--import", "tsx"],
      });
      const worker = new WorkerProcess(child);
      workers.push(worker);
      await once(child, "message");
      return worker;
    },
    async startMove(overrides) {
      const request = input(overrides);
      return client.workflow.start<typeof move>("move", {
        workflowId: moveWorkflowId(request.schema),
        taskQueue: TASK_QUEUE,
        args: [request],
        memo: { [REQUEST_MEMO]: request },
      });
    },
  };
}

/** Creates a shard with some tables on a database and activates it there. */
export async function createShard(database: TestDatabase, shard: number, sql: string): Promise<void> {
  await database.withClient(async (client) => {
    await client.query("SELECT microsharding.microsharding_ensure_exist($1)", [shard]);
    await client.query(sql);
    await client.query("SELECT microsharding.microsharding_ensure_active($1)", [shard]);
  });
}

/** Where a shard is active: names of databases. */
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

/** The result of a workflow; its failure has the root cause as message. */
export async function resultOf<T>(handle: { result(): Promise<T> }): Promise<T> {
  try {
    return await handle.result();
  } catch (error) {
    throw new Error(rootMessage(error), { cause: error });
  }
}

/** The message of the innermost cause. */
export function rootMessage(error: unknown): string {
  let inner = error as Error;
  while (inner.cause instanceof Error) inner = inner.cause;
  return inner.message;
}

import assert from "node:assert/strict";
import { after } from "node:test";

import { Client, Connection, type WorkflowHandle } from "@temporalio/client";

import type { FaultPoint } from "../../activities/attempt/fault-points.ts";
import type { MigrateInput } from "../../contract/migrate.ts";
import { migrateWorkflowId, TASK_QUEUE } from "../../contract/names.ts";
import { migrationHash } from "../../src/migrations/parse.ts";
import { install } from "../../src/postgres/api/install.ts";
import { parseDsn } from "../../src/postgres/islands/dsn.ts";
import type { migrate } from "../../workflows/index.ts";
import {
  createDatabase,
  createNamespace,
  type TestDatabase,
  testIslands,
  type TestServer,
} from "../support/index.ts";
import { Ledger } from "../support/ledger.ts";
import { listLeftovers } from "../support/leftovers.ts";
import type { TestNamespace } from "../support/temporal.ts";
import { type FaultMode, type WorkerOptions, WorkerProcess } from "../support/worker.ts";

const SHARDS_PER_ISLAND = 8;

/** The shards of the island at a place in the list: 1-8, 9-16, 17-24. */
export const shardsOf = (place: number): number[] =>
  Array.from({ length: SHARDS_PER_ISLAND }, (_, i) => place * SHARDS_PER_ISLAND + i + 1);

export const schemaOf = (shard: number): string => `sh${String(shard).padStart(4, "0")}`;

/** Three islands with eight shards each. */
export class MigrateWorld {
  readonly #workers: WorkerProcess[] = [];

  constructor(
    readonly islands: TestDatabase[],
    readonly temporal: TestNamespace,
    readonly client: Client,
  ) {}

  get dsns(): string[] {
    return this.islands.map(({ dsn }) => dsn);
  }

  async startWorker(
    fault?: FaultPoint,
    mode?: FaultMode,
    more: Partial<WorkerOptions> = {},
  ): Promise<WorkerProcess> {
    const worker = await WorkerProcess.start({ ...this.temporal, dsns: this.dsns, fault, mode, ...more });
    this.#workers.push(worker);
    return worker;
  }

  async endWorkers(): Promise<void> {
    await Promise.all(this.#workers.splice(0).map((worker) => worker.release()));
  }

  async start(
    name: string,
    sql: string,
    more: Partial<MigrateInput> = {},
  ): Promise<WorkflowHandle<typeof migrate>> {
    const input: MigrateInput = {
      name,
      sql,
      hash: migrationHash(sql),
      source: `${name}.sql`,
      islands: this.dsns.map((dsn) => parseDsn(dsn).name),
      shards: null,
      mode: "all",
      batch: null,
      dryRun: false,
      lockTimeoutMs: 100,
      deadlineSec: 60,
      ...more,
    };
    return this.client.workflow.start<typeof migrate>("migrate", {
      workflowId: migrateWorkflowId(name),
      taskQueue: TASK_QUEUE,
      args: [input],
    });
  }

  /** Writers on the ledgers of the first shard of each island. */
  async startLedgers(): Promise<Ledger[]> {
    const shards = this.islands.map((_, place) => shardsOf(place)[0]!);
    await Promise.all(
      this.islands.map((island, i) => island.rows(`TRUNCATE ${schemaOf(shards[i]!)}.ledger`)),
    );
    const ledgers = shards.map((shard) => {
      return new Ledger({ islands: this.dsns, shard, schema: schemaOf(shard), writers: 2, rate: 50 });
    });
    await Promise.all(ledgers.map((ledger) => ledger.start()));
    return ledgers;
  }

  /** Names of the shards whose ledger table has a column. */
  async shardsWith(column: string): Promise<string[]> {
    const found = await Promise.all(
      this.islands.map((island) =>
        island.rows<{ schema: string }>(
          "SELECT table_schema AS schema FROM information_schema.columns WHERE table_name = 'ledger' AND column_name = $1",
          [column],
        ),
      ),
    );
    return found
      .flat()
      .map(({ schema }) => schema)
      .sort();
  }

  /**
   * Asserts that all shards or none have a column and have recorded the migration, and that nothing is left but the
   * prepared transactions of others.
   */
  async expectAllOrNone(column: string, name: string, foreign: string[] = []): Promise<"all" | "none"> {
    const having = await this.shardsWith(column);
    assert.ok(
      [0, this.islands.length * SHARDS_PER_ISLAND].includes(having.length),
      `some have it: ${having.join(", ")}`,
    );
    assert.deepEqual(await this.remembering(name), having);
    for (const island of this.islands)
      assert.deepEqual(
        await listLeftovers(island),
        foreign.map((gid) => `prepared transaction ${gid} ${island.name}`),
      );
    for (const island of this.islands)
      assert.deepEqual(await island.rows("SELECT * FROM microsharding.microsharding_leases_"), []);
    return having.length === 0 ? "none" : "all";
  }

  /** Names of the shards that have recorded a migration. */
  async remembering(name: string): Promise<string[]> {
    const found = await Promise.all(
      this.islands.map((island) =>
        island.rows<{ schema: string }>(
          `SELECT schema_name AS schema FROM microsharding.microsharding_migrations_applied_($1,
             ARRAY(SELECT nspname::text FROM pg_namespace WHERE nspname ~ '^sh\\d{4}$')) WHERE complete`,
          [name],
        ),
      ),
    );
    return found
      .flat()
      .map(({ schema }) => schema)
      .sort();
  }
}

const worlds: { world: MigrateWorld; connection: Connection }[] = [];
after(async () => {
  for (const { world, connection } of worlds) {
    await world.endWorkers();
    await connection.close();
  }
});

/** Creates three islands on the given servers, by default the shared ones. */
export async function createMigrateWorld(
  servers?: readonly TestServer[],
  temporal?: TestNamespace,
): Promise<MigrateWorld> {
  const { a, b } = await testIslands();
  const islands = await Promise.all((servers ?? [a, b, a]).map((server) => createDatabase(server)));
  await Promise.all(islands.map((island, place) => fill(island, shardsOf(place))));
  const where = temporal ?? (await createNamespace());
  const connection = await Connection.connect({ address: where.address });
  const world = new MigrateWorld(islands, where, new Client({ connection, namespace: where.namespace }));
  worlds.push({ world, connection });
  return world;
}

async function fill(island: TestDatabase, shards: readonly number[]): Promise<void> {
  await island.withClient(async (client) => {
    await install(client);
    const range = [shards[0], shards.at(-1)];
    await client.query("SELECT microsharding.microsharding_ensure_exist($1, $2)", range);
    for (const shard of shards) await client.query(Ledger.tableSql(schemaOf(shard)));
    await client.query("SELECT microsharding.microsharding_ensure_active($1, $2)", range);
  });
}

/** Asserts that no write was lost, doubled or failed; returns the longest time without one, in milliseconds. */
export async function expectSoundLedgers(ledgers: readonly Ledger[]): Promise<number> {
  const results = await Promise.all(ledgers.map((ledger) => ledger.stop()));
  for (const { lost, doubled, failures } of results)
    assert.deepEqual({ lost, doubled, failures }, { lost: 0, doubled: 0, failures: [] });
  return Math.max(...results.map(({ longestGapMs }) => longestGapMs));
}

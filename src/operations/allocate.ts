import { spawn } from "node:child_process";
import type { Writable } from "node:stream";

import type { IslandName } from "../../contract/names.ts";
import type { Settings } from "../config/settings.ts";
import type { ShardRange } from "../config/values.ts";
import { RefusedError, ShardferryError, UsageError } from "../errors.ts";
import { readActiveLedger } from "../migrations/behind.ts";
import { awaitMigrations, notBehind } from "../migrations/new-shards.ts";
import { activeShardsSql, ensureRange, schemaNameSql } from "../postgres/api/shards.ts";
import { findSqlApi, requireSqlApi, type SqlApi } from "../postgres/api/sql-api.ts";
import { inheritedValue, settingSql } from "../postgres/inherited-setting.ts";
import type { ConnectedIsland } from "../postgres/islands/discover.ts";
import { sequencesOf } from "../sequences/of-shards.ts";
import type { SequenceMode } from "../sequences/own-values.ts";
import { type AssignedSequence, assignShards } from "./sequences.ts";
import { onIslands } from "./with-islands.ts";

export interface AllocateRequest extends ShardRange {
  activate: boolean;
  /** Gives the sequences of the shards values of their own before the shards are activated. */
  sequences?: SequenceMode | undefined;
}

export interface AllocateResult {
  island: IslandName;
  /** Schemas that were missing and were created. */
  created: string[];
  /** Schemas that are active now. */
  activated: string[];
  /** Only with `sequences`. */
  sequences?: AssignedSequence[];
}

/** Where an allocation reports its progress, and where the shell command writes. */
export interface AllocateHooks {
  say(line: string): void;
  commandOutput: Writable;
}

/**
 * Creates the missing shards of a range on the first island, inactive, and runs the shell command that fills them. Only
 * if the command succeeds, the shards are activated. May be run again at any time. Shards that lack a migration that the
 * active shards have had in the meantime are not activated.
 */
export async function allocate(
  settings: Settings,
  request: AllocateRequest,
  hooks: AllocateHooks,
): Promise<AllocateResult> {
  const { migrateCmd } = settings;
  if (migrateCmd === undefined) {
    throw new UsageError(
      "--migrate-cmd: give the shell command that creates the tables of new shards (or MIGRATE_CMD)",
    );
  }
  const { first, last, activate } = request;
  const created = await onIslands(settings, async (islands) => {
    const island = islands[0]!;
    const api = await requireSqlApi(island.client, island.name);
    await refuseReadOnly(island);
    await refuseActiveElsewhere(islands.slice(1), island, api, request);
    return {
      island: island.name,
      schemas: await ensureRange(island.client, api.schema, "exist", first, last),
      ledger: await readActiveLedger(islands),
    };
  });
  hooks.say(`${created.island}: created ${created.schemas.join(", ") || "nothing, all schemas exist"}`);

  hooks.say(`running ${migrateCmd}`);
  // For `shardferry migrate` as the command: only the new shards are meant, and they are not active yet.
  const env = { ...settings.env, SHARDFERRY_SHARDS: `${first}-${last}` };
  await runShell(migrateCmd, env, hooks.commandOutput);
  if (!activate && !request.sequences)
    return { island: created.island, created: created.schemas, activated: [] };

  // A new session, because the command may have run for hours, and firewalls drop idle connections.
  return onIslands(settings, async (islands) => {
    const island = islands.find(({ name }) => name === created.island);
    if (!island)
      throw new ShardferryError(
        "island_gone",
        `${created.island} is no longer a primary; nothing was activated.`,
      );
    const api = await requireSqlApi(island.client, island.name);
    const shards = { island, schemas: await namesOf(island, api, request), before: created.ledger };
    if (activate) await notBehind(islands, shards, hooks, false);
    else await awaitMigrations([island], shards.schemas, hooks);
    const sequences = request.sequences && (await assignRange(island, api, request, request.sequences));
    const activated = activate ? await ensureRange(island.client, api.schema, "active", first, last) : [];
    if (activate) {
      hooks.say(`${created.island}: active ${activated.join(", ")}`);
      // A migration that started just before has not seen them.
      await notBehind(islands, shards, hooks, true);
    }
    const result: AllocateResult = { island: created.island, created: created.schemas, activated };
    return sequences ? { ...result, sequences } : result;
  });
}

/** New shards are not in use yet. Shards of the range that are already in use skip all values used in them. */
async function assignRange(
  island: ConnectedIsland,
  api: SqlApi,
  { first, last }: ShardRange,
  mode: SequenceMode,
): Promise<AssignedSequence[]> {
  const { rows } = await island.client.query<{ no: number; schema: string }>(
    `SELECT n AS no, ${schemaNameSql(api.schema, "n")} AS schema FROM generate_series($1::int, $2::int) n`,
    [first, last],
  );
  return assignShards(mode, await sequencesOf(island, rows));
}

/** Returns the schema names of a range of shards, whether they exist or not. */
async function namesOf(
  { client }: ConnectedIsland,
  api: SqlApi,
  { first, last }: ShardRange,
): Promise<string[]> {
  const { rows } = await client.query<{ schema: string }>(
    `SELECT ${schemaNameSql(api.schema, "n")} AS schema FROM generate_series($1::int, $2::int) n`,
    [first, last],
  );
  return rows.map(({ schema }) => schema);
}

/** Our own sessions can write there, but those of the application could not; a move refuses such a destination, too. */
async function refuseReadOnly({ name, client }: ConnectedIsland): Promise<void> {
  if ((await inheritedValue(client, READ_ONLY)) !== "on") return;
  const remedy = await settingSql(client, READ_ONLY, "off");
  throw new RefusedError([
    `${name} has ${READ_ONLY} = on, so that the application cannot write there: ${remedy}`,
  ]);
}

const READ_ONLY = "default_transaction_read_only";

async function refuseActiveElsewhere(
  others: readonly ConnectedIsland[],
  island: ConnectedIsland,
  api: SqlApi,
  range: ShardRange,
): Promise<void> {
  const schemas = await namesOf(island, api, range);
  const found = await Promise.all(
    others.map(async ({ name, client }) => {
      const there = await findSqlApi(client);
      if (!there) return [];
      const active = await client.query<{ schema: string }>(
        `SELECT nspname::text AS schema FROM (${activeShardsSql(there)}) shard WHERE nspname = ANY ($1) ORDER BY 1`,
        [schemas],
      );
      return active.rows.map(({ schema }) => `${schema} on ${name}`);
    }),
  );
  const active = found.flat();
  if (active.length > 0) {
    const text = `Shards of the range are active elsewhere: ${active.join(", ")}. A shard must not be active on two islands.`;
    throw new ShardferryError("refused", text);
  }
}

/** Runs a shell command with the settings in its environment; throws if its status is not 0. */
async function runShell(command: string, env: NodeJS.ProcessEnv, output: Writable): Promise<void> {
  const inherited = output === process.stdout;
  const child = spawn(command, {
    shell: true,
    env,
    stdio: ["inherit", inherited ? "inherit" : "pipe", "inherit"],
  });
  child.stdout?.pipe(output, { end: false });
  const status = await new Promise<string | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) =>
      resolve(code === 0 ? null : signal ? `by ${signal}` : `with status ${code}`),
    );
  });
  if (status !== null) {
    throw new ShardferryError("migrate_cmd", `The migrate command ended ${status}; no shard was activated.`);
  }
}

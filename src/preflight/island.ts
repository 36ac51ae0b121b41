import { messageOf } from "../errors.ts";
import { bytes } from "../format.ts";
import { groupBy } from "../group-by.ts";
import { findPgDump } from "../machine/pg-programs.ts";
import { readActiveShards } from "../postgres/api/active-shards.ts";
import { findHistorySchema } from "../postgres/api/history.ts";
import { findApiSchema, isCurrent } from "../postgres/api/install.ts";
import { activeShardsSql, DEACTIVATING_FUNCTION } from "../postgres/api/shards.ts";
import { findSqlApi } from "../postgres/api/sql-api.ts";
import type { ConnectedIsland } from "../postgres/islands/discover.ts";
import { MARK_PREFIX, OBJECT_PREFIX } from "../postgres/replication/names.ts";
import { overriddenTables, restoreIdentitySql } from "../postgres/replication/replica-identity.ts";
import { readUnvalidatedKeys } from "../postgres/schema/unvalidated-keys.ts";
import { readServer } from "./check.ts";
import { type Finding, type FindingCode, findingOf } from "./finding.ts";
import {
  destinationCapacity,
  preparedTransactions,
  replicasInSight,
  sourceCapacity,
  versionProblems,
} from "./servers.ts";
import { firsts } from "./some.ts";

type Say = (
  code: (typeof ISLAND_CHECKS)[number],
  severity: Finding["severity"],
  text: string,
  sql?: readonly string[],
) => void;

/** Finds everything on one island that would prevent moves from it or to it. */
export async function examineIsland(island: ConnectedIsland): Promise<Finding[]> {
  const findings: Finding[] = [];
  const say: Say = (code, severity, text, sql) => {
    const found = findingOf(code, severity, text, []);
    findings.push({ ...found, island: island.name, sql: sql ?? found.sql });
  };
  await checkServer(island, say);
  await checkApi(island, say);
  await checkLeftovers(island, say);
  return findings;
}

/** Runs the checks of preflight that concern only the source or only the destination. */
async function checkServer({ client, name }: ConnectedIsland, say: Say): Promise<void> {
  const server = await readServer(client, name);
  const problems: [code: Parameters<Say>[0], texts: string[]][] = [
    ["server_version", versionProblems(server)],
    ["source_capacity", await sourceCapacity({ source: client, from: server })],
    ["prepared_transactions", await preparedTransactions({ source: client, from: server })],
    ["destination_capacity", await destinationCapacity({ destination: client, to: server })],
    ["replicas_hidden", await replicasInSight(client, server)],
  ];
  for (const [code, texts] of problems) for (const text of texts) say(code, "problem", text);
  await findPgDump(server.identity.serverMajor).catch((error: unknown) =>
    say("pg_dump", "problem", messageOf(error)),
  );
  const { rows } = await client.query<{ prepared: string }>(
    "SELECT current_setting('max_prepared_transactions') AS prepared",
  );
  if (rows[0]!.prepared === "0") {
    say(
      "no_prepared_transactions",
      "warning",
      "max_prepared_transactions is 0: `shardferry migrate` needs a higher value, which takes a restart of the server",
      ["ALTER SYSTEM SET max_prepared_transactions = 100; -- then restart the server"],
    );
  }
}

async function checkApi({ client }: ConnectedIsland, say: Say): Promise<void> {
  const schema = await findApiSchema(client);
  if (schema === null) say("sql_api", "problem", "the SQL API is not installed: run `shardferry install`");
  else if (!(await isCurrent(client, schema))) {
    say(
      "sql_api",
      "problem",
      `the SQL API in schema ${schema} has a different version: run \`shardferry install\``,
    );
  } else if ((await findHistorySchema(client)) === null) {
    say("history", "warning", "the SQL API has no history of operations: run `shardferry install`");
  }
}

/** Finds leftovers of ended moves, and foreign keys that were never validated. */
async function checkLeftovers({ client }: ConnectedIsland, say: Say): Promise<void> {
  const slots = await client.query<{ name: string; kept: string | null }>(
    `SELECT slot_name AS name, pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) AS kept
     FROM pg_replication_slots
     WHERE starts_with(slot_name, $1) AND NOT active AND database = current_database()`,
    [OBJECT_PREFIX],
  );
  for (const { name, kept } of slots.rows) {
    say(
      "unused_slot",
      "warning",
      `replication slot ${name} is not in use and retains ${kept === null ? "" : `${bytes(Number(kept))} of `}WAL: \`shardferry cleanup\` drops it if its move is no longer running`,
    );
  }
  for (const { name, was, publication } of await overriddenTables(client, OBJECT_PREFIX)) {
    say(
      "replica_identity",
      "warning",
      `table ${name} has REPLICA IDENTITY FULL for the move of publication ${publication}: if that move is no longer running ` +
        `(shardferry status), DROP PUBLICATION ${publication}; ${restoreIdentitySql(name, was)}`,
    );
  }
  const halves = await client.query<{ name: string }>(
    "SELECT nspname AS name FROM pg_namespace WHERE starts_with(obj_description(oid, 'pg_namespace'), $1)",
    [MARK_PREFIX],
  );
  for (const { name } of halves.rows) {
    say(
      "half_made_copy",
      "warning",
      `schema ${name} is a half-made copy: \`shardferry cleanup\` drops it if its move is no longer running`,
    );
  }
  const schemas = (await readActiveShards(client)).map(({ schema }) => schema);
  const unvalidated = await readUnvalidatedKeys(client, schemas);
  for (const [schema, keys] of groupBy(unvalidated, (key) => key.schema)) {
    const names = firsts(keys.map(({ label }) => label));
    say(
      "foreign_keys_not_validated",
      "warning",
      `${schema} has foreign keys that are not validated: ${names}; ALTER TABLE … VALIDATE CONSTRAINT validates them without blocking writes`,
      keys.map(({ validateSql }) => `${validateSql};`),
    );
  }
}

/** The kinds of what may be found on an island. */
export const ISLAND_CHECKS = [
  "server_version",
  "source_capacity",
  "destination_capacity",
  "prepared_transactions",
  "replicas_hidden",
  "pg_dump",
  "no_prepared_transactions",
  "sql_api",
  "history",
  "unused_slot",
  "replica_identity",
  "half_made_copy",
  "foreign_keys_not_validated",
] as const satisfies readonly FindingCode[];

/** Finds shards that are active on several islands, and so take writes on each. */
export async function doublyActive(islands: readonly ConnectedIsland[]): Promise<Finding[]> {
  const active = await Promise.all(
    islands.map(async ({ client, name }) => {
      const api = await findSqlApi(client);
      if (!api) return [];
      const { rows } = await client.query<{ schema: string }>(
        `SELECT nspname AS schema FROM (${activeShardsSql(api)}) shard`,
      );
      return rows.map(({ schema }) => ({ schema, name }));
    }),
  );
  return [...groupBy(active.flat(), ({ schema }) => schema)]
    .filter(([, places]) => places.length > 1)
    .map(([schema, places]) =>
      findingOf(
        "active_twice",
        "problem",
        `${schema} is active on ${places.map(({ name }) => name).join(" and ")}: deactivate the copy that the application does not use (${DEACTIVATING_FUNCTION})`,
        [],
      ),
    );
}

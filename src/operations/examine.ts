import { readServer } from "../../activities/checks/context.ts";
import { messageOf } from "../errors.ts";
import { findLibSchema, isCurrent } from "../install.ts";
import { activeShardsSql, findSqlApi } from "../layout/api.ts";
import { findPgDump } from "../postgres/binaries.ts";
import type { ConnectedIsland } from "../postgres/discover.ts";
import { overriddenTables, restoreIdentitySql } from "../postgres/identities.ts";
import { MARK_PREFIX, OBJECT_PREFIX } from "../postgres/names.ts";
import type { Finding } from "./doctor.ts";

const OLDEST = 14;
const NEWEST = 18;

type Say = (severity: Finding["severity"], text: string) => void;

/** Looks for everything on one island that would keep shards from being moved to it or away from it. */
export async function examineIsland(island: ConnectedIsland): Promise<Finding[]> {
  const findings: Finding[] = [];
  const say: Say = (severity, text) => findings.push({ island: island.name, severity, text });
  await checkServer(island, say);
  await checkRoom(island, say);
  await checkApi(island, say);
  await checkLeftovers(island, say);
  return findings;
}

async function checkServer({ client, name }: ConnectedIsland, say: Say): Promise<void> {
  const { identity, version, settings, role, replicationRole } = await readServer(client, name);
  if (identity.serverMajor < OLDEST || identity.serverMajor > NEWEST) {
    say("problem", `PostgreSQL ${version}: versions ${OLDEST} to ${NEWEST} are supported`);
  }
  if (settings["wal_level"] !== "logical") {
    say("problem", `wal_level is ${settings["wal_level"]}: set wal_level = logical and restart the server`);
  }
  if (!replicationRole)
    say("problem", `role ${role} may not use replication: ALTER ROLE ${role} REPLICATION`);
  const { rows } = await client.query<{ allowed: boolean; prepared: string }>(
    `SELECT current_setting('max_prepared_transactions') AS prepared,
       coalesce((SELECT pg_has_role(oid, 'MEMBER') FROM pg_roles WHERE rolname = 'pg_create_subscription'), false) AS allowed`,
  );
  if (!identity.superuser && !rows[0]!.allowed) {
    const remedy =
      identity.serverMajor >= 16
        ? `GRANT pg_create_subscription TO ${role}`
        : "a superuser is needed before PostgreSQL 16";
    say("problem", `role ${role} may not create subscriptions: ${remedy}`);
  }
  if (rows[0]!.prepared === "0") {
    say(
      "warning",
      "max_prepared_transactions is 0: `shardferry migrate` needs more, and a restart of the server",
    );
  }
  await findPgDump(identity.serverMajor).catch((error: unknown) => say("problem", messageOf(error)));
}

/** Slots and workers that one more move needs. */
async function checkRoom({ client }: ConnectedIsland, say: Say): Promise<void> {
  const { rows } = await client.query<{ setting: string; used: string; room: string }>(
    `SELECT name AS setting, used, setting AS room
     FROM pg_settings
     JOIN (VALUES
       ('max_replication_slots', (SELECT count(*) FROM pg_replication_slots)),
       ('max_wal_senders', (SELECT count(*) FROM pg_stat_replication)),
       ('max_logical_replication_workers',
         (SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'logical replication %worker')),
       ('max_worker_processes', (SELECT count(*) FROM pg_stat_activity
         WHERE backend_type LIKE 'logical replication %' OR backend_type = 'parallel worker'))
     ) AS busy(name, used) USING (name)
     WHERE used >= setting::int`,
  );
  for (const { setting, used, room } of rows) {
    say(
      "problem",
      `no room for one more move: ${used} of ${room} in use; raise ${setting} and restart the server`,
    );
  }
  const old = await client.query<{ gid: string; database: string; age: string }>(
    `SELECT gid, database, date_trunc('second', clock_timestamp() - prepared)::text AS age
     FROM pg_prepared_xacts WHERE prepared < clock_timestamp() - interval '1 minute'`,
  );
  for (const { gid, database, age } of old.rows) {
    say(
      "problem",
      `prepared transaction '${gid}' in database ${database} is ${age} old and keeps slots from being created: COMMIT PREPARED or ROLLBACK PREPARED it`,
    );
  }
}

async function checkApi({ client }: ConnectedIsland, say: Say): Promise<void> {
  const schema = await findLibSchema(client);
  if (schema === null) say("problem", "the SQL API is not installed: run `shardferry install`");
  else if (!(await isCurrent(client, schema))) {
    say("problem", `the SQL API in schema ${schema} is of another version: run \`shardferry install\``);
  }
}

/** What ended moves have left, and foreign keys that were never validated. */
async function checkLeftovers({ client }: ConnectedIsland, say: Say): Promise<void> {
  const slots = await client.query<{ name: string }>(
    "SELECT slot_name AS name FROM pg_replication_slots WHERE starts_with(slot_name, $1) AND NOT active AND database = current_database()",
    [OBJECT_PREFIX],
  );
  for (const { name } of slots.rows) {
    say(
      "warning",
      `replication slot ${name} is not in use and keeps WAL: \`shardferry cleanup\` drops it, if its move does not run any more`,
    );
  }
  for (const { name, was, publication } of await overriddenTables(client, OBJECT_PREFIX)) {
    say(
      "warning",
      `table ${name} has REPLICA IDENTITY FULL for the move of publication ${publication}: if that move does not run any more ` +
        `(shardferry status), DROP PUBLICATION ${publication}; ${restoreIdentitySql(name, was)}`,
    );
  }
  const halves = await client.query<{ name: string }>(
    "SELECT nspname AS name FROM pg_namespace WHERE starts_with(obj_description(oid, 'pg_namespace'), $1)",
    [MARK_PREFIX],
  );
  for (const { name } of halves.rows) {
    say(
      "warning",
      `schema ${name} is a half-made copy: \`shardferry cleanup\` drops it, if its move does not run any more`,
    );
  }
  const api = await findSqlApi(client);
  if (!api) return;
  const keys = await client.query<{ schema: string; keys: string }>(
    `SELECT shard.nspname AS schema, string_agg(format('%I of %I', k.conname, c.relname), ', ' ORDER BY c.relname, k.conname) AS keys
     FROM (${activeShardsSql(api)}) shard
     JOIN pg_class c ON c.relnamespace = shard.oid
     JOIN pg_constraint k ON k.conrelid = c.oid AND k.contype = 'f' AND NOT k.convalidated
     GROUP BY 1 ORDER BY 1`,
  );
  for (const { schema, keys: names } of keys.rows) {
    say(
      "warning",
      `${schema} has foreign keys that are not validated: ${names}; ALTER TABLE … VALIDATE CONSTRAINT does it without blocking`,
    );
  }
}

/** A shard that is active twice takes writes twice. */
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
  const places = new Map<string, string[]>();
  for (const { schema, name } of active.flat()) places.set(schema, [...(places.get(schema) ?? []), name]);
  return [...places]
    .filter(([, names]) => names.length > 1)
    .map(([schema, names]) => ({
      island: null,
      severity: "problem",
      text: `${schema} is active on ${names.join(" and ")}: deactivate the one that the application does not use (microsharding_ensure_inactive)`,
    }));
}

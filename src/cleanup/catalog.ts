import type { ClientBase } from "pg";

import type { IslandName } from "../../contract/names.ts";
import { activeShardsSql, schemaNameSql } from "../postgres/api/shards.ts";
import { findSqlApi, type SqlApi } from "../postgres/api/sql-api.ts";
import { switchesTable } from "../postgres/api/switches.ts";
import type { ConnectedIsland } from "../postgres/islands/discover.ts";
import { isReplicationName, MARK_PREFIX, OBJECT_PREFIX } from "../postgres/replication/names.ts";
import { SIZE_SQL, sizedRelationsSql } from "../postgres/schema/size.ts";
import { DATABASE_OID } from "../postgres/server.ts";

/** A schema that may be a leftover. */
export interface SchemaRow {
  oid: string;
  name: string;
  comment: string | null;
  /** A subscription that writes into it. */
  subscription: string | null;
}

/** A slot, publication or subscription that has one of our names. */
export interface ObjectRow {
  kind: "slot" | "publication" | "subscription";
  name: string;
  /** Somebody is reading the slot, or the subscription has a worker. */
  atWork: boolean;
  bytes: string | null;
}

/** The last switch of a shard that left this island, according to the book of switches. */
interface Departure {
  schema: string;
  leftover: string;
  workflowId: string;
  runId: string;
  peer: IslandName;
  at: Date;
}

/** The last departure of each shard, by shard and by the name of its old copy. */
class Departures {
  readonly all: readonly Departure[];
  readonly bySchema: ReadonlyMap<string, Departure>;
  readonly byLeftover: ReadonlyMap<string, Departure>;

  constructor(all: readonly Departure[]) {
    this.all = all;
    this.bySchema = new Map(all.map((one) => [one.schema, one]));
    this.byLeftover = new Map(all.map((one) => [one.leftover, one]));
  }
}

/** What an island's catalogs say about leftovers. */
export interface Catalog {
  island: IslandName;
  api: SqlApi | null;
  schemas: SchemaRow[];
  objects: ObjectRow[];
  departures: Departures;
  /** Schemas that are active shards. */
  active: ReadonlySet<string>;
  /** Those schemas, or schemas of which they may be copies, that are named like a shard, with its number. */
  shards: ReadonlyMap<string, number>;
  /** Names of all schemas. */
  present: ReadonlySet<string>;
  /** Names of the sessions of running steps. */
  sessions: ReadonlySet<string>;
}

/** The form of the names of copies, ours and those of pg-microsharding. */
const COPY_NAME = "(old_?[0-9]{14}|new(_[0-9]{14})?)$";
const BASE_NAME = /^(.+?)(old_?\d{14}|new(_\d{14})?)$/s;
const MAX_SHARD = 2_147_483_647;

/** Reads the catalogs of one island; changes nothing. */
export async function readCatalog({ name, client }: ConnectedIsland): Promise<Catalog> {
  const api = await findSqlApi(client);
  const schemas = await client.query<SchemaRow>(
    `SELECT n.oid::text, n.nspname::text AS name, obj_description(n.oid, 'pg_namespace') AS comment, w.subscription
     FROM pg_namespace n
     LEFT JOIN (
       SELECT c.relnamespace, min(s.subname::text) AS subscription
       FROM pg_subscription s
       JOIN pg_subscription_rel r ON r.srsubid = s.oid
       JOIN pg_class c ON c.oid = r.srrelid
       WHERE s.subdbid = ${DATABASE_OID}
       GROUP BY 1
     ) w ON w.relnamespace = n.oid
     WHERE n.nspname ~ $1 OR starts_with(obj_description(n.oid, 'pg_namespace'), $2)
     ORDER BY n.nspname`,
    [COPY_NAME, MARK_PREFIX],
  );
  const present = await names(client, "SELECT nspname::text AS name FROM pg_namespace");
  return {
    island: name,
    api,
    schemas: schemas.rows,
    objects: await readObjects(client),
    departures: new Departures(api ? await readDepartures(client, api) : []),
    active: api
      ? await names(client, `SELECT nspname::text AS name FROM (${activeShardsSql(api)}) shard`)
      : new Set(),
    shards: api ? await readShards(client, api, schemas.rows) : new Map<string, number>(),
    present,
    sessions: await names(
      client,
      "SELECT DISTINCT application_name AS name FROM pg_stat_activity WHERE datname = current_database()",
    ),
  };
}

async function names(client: ClientBase, sql: string): Promise<Set<string>> {
  const { rows } = await client.query<{ name: string }>(sql);
  return new Set(rows.map((row) => row.name));
}

async function readObjects(client: ClientBase): Promise<ObjectRow[]> {
  const { rows } = await client.query<ObjectRow>(
    `SELECT 'slot' AS kind, slot_name::text AS name, active AS "atWork",
       CASE WHEN NOT pg_is_in_recovery() THEN pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::text END AS bytes
     FROM pg_replication_slots WHERE database = current_database() AND starts_with(slot_name, $1)
     UNION ALL
     SELECT 'publication', pubname, false, NULL FROM pg_publication WHERE starts_with(pubname, $1)
     UNION ALL
     SELECT 'subscription', subname,
       EXISTS (SELECT FROM pg_stat_subscription w WHERE w.subid = s.oid AND w.pid IS NOT NULL), NULL
     FROM pg_subscription s
     WHERE subdbid = ${DATABASE_OID} AND starts_with(subname, $1)
     ORDER BY 1, 2`,
    [OBJECT_PREFIX],
  );
  return rows.filter(({ name }) => isReplicationName(name));
}

async function readDepartures(client: ClientBase, api: SqlApi): Promise<Departure[]> {
  const book = switchesTable(api.schema);
  const there = await client.query("SELECT WHERE to_regclass($1) IS NOT NULL", [book]);
  if (!there.rowCount) return [];
  const { rows } = await client.query<Departure>(
    `SELECT schema_name AS schema, leftover, workflow_id AS "workflowId", run_id AS "runId", peer, switched_at AS at
     FROM ${book} WHERE role = 'source' AND leftover IS NOT NULL`,
  );
  return rows;
}

/** Asks the SQL API for the names of the shards with these numbers, since a name may only look like that of a shard. */
async function readShards(
  client: ClientBase,
  api: SqlApi,
  schemas: readonly SchemaRow[],
): Promise<Map<string, number>> {
  const possible = new Map<string, number>();
  for (const { name } of schemas) {
    for (const candidate of [name, BASE_NAME.exec(name)?.[1]]) {
      const number = candidate === undefined ? null : api.shardNumber(candidate);
      if (number !== null && number <= MAX_SHARD) possible.set(candidate!, number);
    }
  }
  const { rows } = await client.query<{ no: number; name: string }>(
    `SELECT no, ${schemaNameSql(api.schema, "no")} AS name FROM unnest($1::int[]) AS no`,
    [[...new Set(possible.values())]],
  );
  return new Map(rows.filter(({ no, name }) => possible.get(name) === no).map(({ no, name }) => [name, no]));
}

/** The sizes of schemas in bytes, by their names. */
export async function readSizes(
  client: ClientBase,
  schemas: readonly string[],
): Promise<Map<string, number>> {
  const { rows } = await client.query<{ name: string; bytes: string }>(
    `SELECT n.nspname::text AS name, ${SIZE_SQL} AS bytes
     FROM pg_namespace n ${sizedRelationsSql("n.oid")}
     WHERE n.nspname = ANY ($1) GROUP BY n.oid, n.nspname`,
    [schemas],
  );
  return new Map(rows.map(({ name, bytes }) => [name, Number(bytes)]));
}

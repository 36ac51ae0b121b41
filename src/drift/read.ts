import type { IslandName } from "../../contract/names.ts";
import { messageOf, ShardferryError } from "../errors.ts";
import { activeShardsSql } from "../postgres/api/shards.ts";
import type { SqlApi } from "../postgres/api/sql-api.ts";
import { hasSqlstate, SQLSTATE } from "../postgres/errors/sqlstate.ts";
import type { ConnectedIsland } from "../postgres/islands/discover.ts";
import { objectsSql } from "./catalog-sql.ts";
import { dependenciesSql } from "./dependencies-sql.ts";
import type { CatalogObject } from "./facts.ts";
import { neutralizer } from "./neutral.ts";

/** A shard that is compared. */
export interface ComparedShard {
  readonly no: number;
  readonly schema: string;
  readonly island: IslandName;
}

/** A shard with a digest of its schema: equal digests mean equal schemas, but equal schemas may have different digests. */
export interface DigestedShard extends ComparedShard {
  readonly oid: string;
  readonly digest: string;
  /** The number of relations that deparsing its definitions may lock. */
  readonly locks: number;
}

/**
 * Settings on which deparsed text depends. The lock timeout is for views: deparsing them takes a lock on the tables that
 * they read.
 */
const PINNED =
  "SET search_path TO ''; SET quote_all_identifiers TO off; SET datestyle TO ISO; SET intervalstyle TO postgres; " +
  "SET timezone TO 'UTC'; SET bytea_output TO hex; SET extra_float_digits TO 1; SET lock_timeout TO '5s'; " +
  "SET statement_timeout TO 0; SET default_transaction_read_only TO on; SET jit TO off";

/** Relations whose locks one statement may hold: by default, a server has room for some 6,000 in total. */
const LOCKS = 2000;

/** The number of shards whose objects one query reads. */
const AT_A_TIME = 50;

const SHARDS =
  "shard(oid, name, no) AS MATERIALIZED (SELECT * FROM unnest($1::oid[], $2::text[], $3::int[]))";

/** Replaces the name of the shard's own schema, as a whole word only, wherever it occurs in a definition. */
const DIGEST_SQL = `
  WITH ${SHARDS}, ${objectsSql()}
  SELECT shard.oid::text AS oid, md5(regexp_replace(text, '(?<![[:alnum:]_$])' || regexp_replace(shard.name, '\\W', '\\\\\\&', 'g')
    || '(?![[:alnum:]_$])', '=', 'g')) AS digest
  FROM shard
  JOIN (
    SELECT shard AS oid, string_agg(concat_ws(E'\\x1f', kind, parent, name, data::text), E'\\x1e'
      ORDER BY kind, parent COLLATE "C", name COLLATE "C") AS text
    FROM object GROUP BY 1
  ) described USING (oid)`;

const DETAILS_SQL = `WITH ${SHARDS}, ${objectsSql()} SELECT shard::text AS oid, kind, parent, name, made::float8, data FROM object`;

const DEPENDENCIES_SQL = `WITH ${SHARDS}, ${dependenciesSql()} SELECT shard::text AS oid, id, needs FROM dependency`;

interface Found {
  oid: string;
  schema: string;
  no: number;
  locks: number;
}

/** Reads the digests of an island's active shards; `numbers` null means all except shard 0, which is unlike the others. */
export async function readDigests(
  { client, name }: ConnectedIsland,
  api: SqlApi,
  numbers: ReadonlySet<number> | null,
): Promise<DigestedShard[]> {
  return telling(name, async () => {
    await client.query(PINNED);
    const { rows } = await client.query<Omit<Found, "no">>(ACTIVE_SQL(api));
    const shards = rows.flatMap((row): Found[] => {
      const no = api.shardNumber(row.schema);
      return no !== null && (numbers?.has(no) ?? no > 0) ? [{ ...row, no }] : [];
    });
    const digested: DigestedShard[] = [];
    for (const batch of batches(shards)) {
      const answer = await client.query<{ oid: string; digest: string }>(DIGEST_SQL, parameters(batch));
      const digests = new Map(answer.rows.map(({ oid, digest }) => [oid, digest]));
      for (const { oid, no, schema, locks } of batch) {
        // A shard that was moved away or dropped in the meantime does not count as drift.
        const digest = digests.get(oid);
        if (digest !== undefined) digested.push({ oid, no, schema, island: name, digest, locks });
      }
    }
    return digested;
  });
}

/** The active shards, with the number of relations that deparsing may lock. */
const ACTIVE_SQL = (api: SqlApi): string => `
  SELECT shard.oid::text AS oid, shard.nspname AS schema,
    CASE WHEN bool_or(c.relhasrules OR c.relrowsecurity) OR EXISTS (
      SELECT FROM pg_proc p WHERE p.pronamespace = shard.oid AND p.prosqlbody IS NOT NULL
    ) THEN count(c.oid)::int ELSE 0 END AS locks
  FROM (${activeShardsSql(api)}) shard
  LEFT JOIN pg_class c ON c.relnamespace = shard.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  GROUP BY shard.oid, shard.nspname
  ORDER BY shard.nspname`;

/** Reads the objects of some shards of an island in neutral form, by the shards' oids. */
export async function readObjects(
  { client, name }: ConnectedIsland,
  shards: readonly DigestedShard[],
): Promise<Map<string, CatalogObject[]>> {
  return telling(name, async () => {
    const objects = new Map<string, CatalogObject[]>(shards.map(({ oid }) => [oid, []]));
    // Some at a time: shards that are unlike the others are few, but may be large.
    for (const batch of batches(shards, AT_A_TIME)) {
      const { rows } = await client.query<CatalogObject & { oid: string }>(DETAILS_SQL, parameters(batch));
      const neutral = new Map(batch.map(({ oid, schema }) => [oid, neutralizer(schema)]));
      for (const { oid, ...object } of rows) objects.get(oid)!.push(neutralObject(object, neutral.get(oid)!));
    }
    return objects;
  });
}

/** Reads which facts of some shards need which others: by the shards' oids, pairs of ids of facts. */
export async function readDependencies(
  { client, name }: ConnectedIsland,
  shards: readonly DigestedShard[],
): Promise<Map<string, (readonly [string, string])[]>> {
  return telling(name, async () => {
    const found = new Map<string, (readonly [string, string])[]>(shards.map(({ oid }) => [oid, []]));
    for (const batch of batches(shards, AT_A_TIME)) {
      const { rows } = await client.query<{ oid: string; id: string; needs: string }>(
        DEPENDENCIES_SQL,
        parameters(batch),
      );
      const neutral = new Map(batch.map(({ oid, schema }) => [oid, neutralizer(schema)]));
      for (const { oid, id, needs } of rows)
        found.get(oid)!.push([neutralId(id, neutral.get(oid)!), neutralId(needs, neutral.get(oid)!)]);
    }
    return found;
  });
}

/** As in `neutralObject`. */
const neutralId = (id: string, neutral: (text: string) => string): string =>
  /^(?:function|other|parent) /.test(id) ? neutral(id) : id;

/** Names stay as they are, except those that contain types or schemas. */
function neutralObject(object: CatalogObject, neutral: (text: string) => string): CatalogObject {
  const named = object.kind === "function" || object.kind === "other" ? neutral(object.name) : object.name;
  return { ...object, name: named, data: deep(object.data, neutral) };
}

function deep(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === "string") return change(value);
  if (Array.isArray(value)) return value.map((one) => deep(one, change));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, deep(one, change)]));
}

const parameters = (shards: readonly { oid: string; schema: string; no: number }[]): unknown[] => [
  shards.map(({ oid }) => oid),
  shards.map(({ schema }) => schema),
  shards.map(({ no }) => no),
];

/** Splits a list so that the server's lock table has room for each part. */
function batches<T extends { locks: number }>(shards: readonly T[], most = Infinity): T[][] {
  const cut: T[][] = [];
  let locks = Infinity;
  for (const shard of shards) {
    if (locks + shard.locks > LOCKS || cut.at(-1)!.length >= most) {
      cut.push([]);
      locks = 0;
    }
    cut.at(-1)!.push(shard);
    locks += shard.locks;
  }
  return cut;
}

async function telling<T>(island: IslandName, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const hint = hasSqlstate(cause, SQLSTATE.lockNotAvailable)
      ? "; a migration may be in progress there, try again later"
      : "";
    throw new ShardferryError("drift", `Cannot read the schemas on ${island}: ${messageOf(cause)}${hint}`, {
      cause,
    });
  }
}

import type { ClientBase } from "pg";

import type { IslandName } from "../../../contract/names.ts";
import { ShardferryError } from "../../errors.ts";
import { ident } from "../quote.ts";
import { findApiSchema } from "./install.ts";
import { schemaNameSql } from "./shards.ts";

/** The SQL API as it is installed on one island. */
export interface SqlApi {
  readonly schema: string;
  /** False for an installation of an older tool, which knows no weight factors. */
  readonly hasFactors: boolean;
  /** Reads a shard's number from its schema's name; null for a name of another form. */
  shardNumber(schema: string): number | null;
}

/** The SQL API is missing on some islands. */
export class NotInstalledError extends ShardferryError {
  constructor(islands: readonly IslandName[]) {
    super(
      "not_installed",
      `The SQL API is not installed on ${islands.join(", ")}: run \`shardferry install\` first.`,
    );
  }
}

/** A shard number for learning the format of names: unlikely to be part of a name, and not cut off by lpad. */
const SAMPLE = 9083;

/** Finds the SQL API of a database; null if it is not installed. */
export async function findSqlApi(client: ClientBase): Promise<SqlApi | null> {
  const schema = await findApiSchema(client);
  if (schema === null) return null;
  const { rows } = await client.query<{ name: string; factors: boolean }>(
    `SELECT ${schemaNameSql(schema, String(SAMPLE))} AS name,
       to_regprocedure($1) IS NOT NULL AS factors`,
    [`${ident(schema)}.microsharding_factor_(text)`],
  );
  return { schema, hasFactors: rows[0]!.factors, shardNumber: numberReader(rows[0]!.name) };
}

/** Like `findSqlApi`, but throws if the SQL API is not installed. */
export async function requireSqlApi(client: ClientBase, island: IslandName): Promise<SqlApi> {
  const api = await findSqlApi(client);
  if (!api) throw new NotInstalledError([island]);
  return api;
}

function numberReader(sample: string): (schema: string) => number | null {
  const at = sample.lastIndexOf(String(SAMPLE));
  const prefix = at < 0 ? "" : sample.slice(0, at).replace(/0+$/, "");
  const suffix = at < 0 ? "" : sample.slice(at + String(SAMPLE).length);
  return (schema) => {
    // A format that shows fewer digits: the last number in the name is the shard's.
    if (at < 0) return lastNumber(schema);
    if (!schema.startsWith(prefix) || !schema.endsWith(suffix)) return null;
    const digits = schema.slice(prefix.length, schema.length - suffix.length);
    return /^\d+$/.test(digits) ? Number(digits) : null;
  };
}

function lastNumber(name: string): number | null {
  const digits = /(\d+)\D*$/.exec(name)?.[1];
  return digits === undefined ? null : Number(digits);
}

/** The schema that contains the SQL API on an island; throws if it is not installed. */
export async function apiSchemaOf(client: ClientBase, island: IslandName): Promise<string> {
  const schema = await findApiSchema(client);
  if (schema === null) throw new NotInstalledError([island]);
  return schema;
}

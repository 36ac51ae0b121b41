import type { ClientBase } from "pg";

import { qualified } from "../quote.ts";

/** The table in which each shard records what has been applied to it: it belongs to us, not to the application. */
export const LEDGER_TABLE = "microsharding_migrations_";

/** What a shard has recorded about a migration. */
export interface Applied {
  schema: string;
  hash: string;
  /** Statements that were run; fewer than all of them if a migration with --mode=each was interrupted. */
  statements: number;
  complete: boolean;
  /** The transaction that applied it, `run:round`. */
  transactionKey: string | null;
}

/** Shards per query: each one's table is locked until the end of the query. */
const SHARDS_PER_QUERY = 500;

/** Creates the missing ledgers of some shards. */
export async function createLedgers(
  client: ClientBase,
  apiSchema: string,
  schemas: readonly string[],
): Promise<void> {
  await client.query(`SELECT ${qualified(apiSchema, "microsharding_migrations_create_")}($1)`, [schemas]);
}

/** Reads what some shards have recorded about a migration; those that have not had it are left out. */
export async function readApplied(
  client: ClientBase,
  apiSchema: string,
  name: string,
  schemas: readonly string[],
): Promise<Applied[]> {
  const applied: Applied[] = [];
  for (let start = 0; start < schemas.length; start += SHARDS_PER_QUERY) {
    const { rows } = await client.query<Applied>(
      `SELECT schema_name AS schema, hash, statements, complete, transaction_key AS "transactionKey"
       FROM ${qualified(apiSchema, "microsharding_migrations_applied_")}($1, $2)`,
      [name, schemas.slice(start, start + SHARDS_PER_QUERY)],
    );
    applied.push(...rows);
  }
  return applied;
}

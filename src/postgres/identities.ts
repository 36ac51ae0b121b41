import type { ClientBase } from "pg";

import { ident, literal } from "./quote.ts";

/** What a table's replica identity was before a move set it to FULL: default or nothing. */
export type FormerIdentity = "d" | "n";

/** A table that has REPLICA IDENTITY FULL because a move needs it. */
export interface OverriddenTable {
  oid: string;
  /** Schema and name as they are now, quoted. */
  name: string;
  was: FormerIdentity;
  /** The publication of the move. */
  publication: string;
}

const WORDS = { d: "DEFAULT", n: "NOTHING" } as const;

/** The statement that gives a table its former replica identity back; `name` is quoted. */
export const restoreIdentitySql = (name: string, was: FormerIdentity): string =>
  `ALTER TABLE ONLY ${name} REPLICA IDENTITY ${WORDS[was]}`;

const RECORD = "shardferry: replica identities before the move: ";

/**
 * Creates a publication without tables whose comment records, by OID, what the replica identities were that the
 * move is about to change. Whoever drops the publication knows from it what to restore, also when the move was
 * terminated and nobody else remembers.
 */
export function recordSql(
  publication: string,
  tables: readonly { oid: string; was: FormerIdentity }[],
): string {
  const record = JSON.stringify(Object.fromEntries(tables.map(({ oid, was }) => [oid, was])));
  return `CREATE PUBLICATION ${ident(publication)}; COMMENT ON PUBLICATION ${ident(publication)} IS ${literal(RECORD + record)}`;
}

/** The tables of this database that moves have set to FULL, from the records of publications that begin so. */
export async function overriddenTables(client: ClientBase, publications: string): Promise<OverriddenTable[]> {
  const { rows } = await client.query<OverriddenTable>(
    `SELECT r.key AS oid, format('%I.%I', n.nspname, c.relname) AS name, r.value AS was, p.pubname AS publication
     FROM pg_publication p
     CROSS JOIN LATERAL (SELECT obj_description(p.oid, 'pg_publication') AS comment) d
     CROSS JOIN LATERAL json_each_text(
       CASE WHEN starts_with(d.comment, $2) THEN substr(d.comment, length($2) + 1)::json ELSE '{}' END) r
     JOIN pg_class c ON c.oid = r.key::oid AND c.relreplident = 'f'
     JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE starts_with(p.pubname, $1) AND r.value IN ('d', 'n')
     ORDER BY 2`,
    [publications, RECORD],
  );
  return rows;
}

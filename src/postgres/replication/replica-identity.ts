import type { ClientBase } from "pg";

import { ident, literal } from "../quote.ts";

/** A table's replica identity before a move set it to FULL: default or nothing. */
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

/** The statement that restores a table's former replica identity; `name` is quoted. */
export const restoreIdentitySql = (name: string, was: FormerIdentity): string =>
  `ALTER TABLE ONLY ${name} REPLICA IDENTITY ${WORDS[was]}`;

const RECORD = "shardferry: replica identities before the move: ";

/** The record of publication `p`, as JSON; `{}` if it has none. */
const RECORD_SQL = `CASE WHEN starts_with(obj_description(p.oid, 'pg_publication'), ${literal(RECORD)})
  THEN substr(obj_description(p.oid, 'pg_publication'), ${RECORD.length + 1})::json ELSE '{}' END`;

/** True if other publications than the given one publish a table, or have recorded it because they are about to. */
const neededByOthersSql = (oid: string, publication: string): string =>
  `EXISTS (
     SELECT FROM pg_publication p
     WHERE p.pubname <> ${literal(publication)}
       AND (EXISTS (SELECT FROM pg_publication_rel r WHERE r.prpubid = p.oid AND r.prrelid = ${literal(oid)})
         OR (${RECORD_SQL}) ->> ${literal(oid)} IS NOT NULL))`;

/** Finds out whether a table that was set to FULL for a publication is published by it, and by others. */
export async function publishersOf(
  client: ClientBase,
  { oid, publication }: OverriddenTable,
): Promise<{ own: boolean; others: boolean }> {
  const { rows } = await client.query<{ own: boolean; others: boolean }>(
    `SELECT ${neededByOthersSql(oid, publication)} AS others,
       EXISTS (SELECT FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid
               WHERE r.prrelid = $1 AND p.pubname = $2) AS own`,
    [oid, publication],
  );
  return rows[0]!;
}

/**
 * The statements that restore a table's former replica identity, unless others need FULL. They check this under the
 * lock: a move that begins meanwhile has written its record, or sets the identity after us.
 */
export const restoreUnlessNeededSql = ({ oid, name, was, publication }: OverriddenTable): string => {
  const restore = `IF NOT ${neededByOthersSql(oid, publication)} THEN ${restoreIdentitySql(name, was)}; END IF;`;
  return `LOCK TABLE ONLY ${name} IN ACCESS EXCLUSIVE MODE; DO ${literal(`BEGIN ${restore} END`)}`;
};

/**
 * Creates a publication without tables whose comment records, by OID, the replica identities that the move is about to
 * change. Whoever drops the publication knows from the comment what to restore, even if the move was terminated and
 * nothing else remembers.
 */
export function recordSql(
  publication: string,
  tables: readonly { oid: string; was: FormerIdentity }[],
): string {
  const record = JSON.stringify(Object.fromEntries(tables.map(({ oid, was }) => [oid, was])));
  return `CREATE PUBLICATION ${ident(publication)}; COMMENT ON PUBLICATION ${ident(publication)} IS ${literal(RECORD + record)}`;
}

/** The tables of this database that moves have set to FULL, from the records of publications with a given prefix. */
export async function overriddenTables(client: ClientBase, publications: string): Promise<OverriddenTable[]> {
  const { rows } = await client.query<OverriddenTable>(
    `SELECT r.key AS oid, format('%I.%I', n.nspname, c.relname) AS name, r.value AS was, p.pubname AS publication
     FROM pg_publication p
     CROSS JOIN LATERAL json_each_text(${RECORD_SQL}) r
     JOIN pg_class c ON c.oid = r.key::oid AND c.relreplident = 'f'
     JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE starts_with(p.pubname, $1) AND r.value IN ('d', 'n')
     ORDER BY 2`,
    [publications],
  );
  return rows;
}

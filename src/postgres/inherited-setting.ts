import type { ClientBase } from "pg";

import { ident } from "./quote.ts";

/** Reads the value that new sessions of our role have of a setting, whatever our own session has set. */
export async function inheritedValue(client: ClientBase, name: string): Promise<string | null> {
  const { rows } = await client.query<{ value: string }>(
    "SELECT reset_val AS value FROM pg_settings WHERE pg_settings.name = $1",
    [name],
  );
  return rows[0]?.value ?? null;
}

/** Returns the statement that gives new sessions another value of a setting, at the place where it is set. */
export async function settingSql(client: ClientBase, name: string, value: string): Promise<string> {
  const { rows } = await client.query<{
    database: string;
    role: string;
    inRole: boolean;
    inDatabase: boolean;
  }>(
    `SELECT d.datname::text AS database, r.rolname::text AS role,
       coalesce(s.setrole, 0) <> 0 AS "inRole", coalesce(s.setdatabase, 0) <> 0 AS "inDatabase"
     FROM pg_database d
     JOIN pg_roles r ON r.rolname = current_user
     LEFT JOIN pg_db_role_setting s ON s.setdatabase IN (0, d.oid) AND s.setrole IN (0, r.oid)
       AND EXISTS (SELECT FROM unnest(s.setconfig) entry WHERE lower(split_part(entry, '=', 1)) = $1)
     WHERE d.datname = current_database()
     -- A role in a database takes precedence over a role, a role over a database.
     ORDER BY coalesce(s.setrole, 0) <> 0 AND coalesce(s.setdatabase, 0) <> 0 DESC, coalesce(s.setrole, 0) <> 0 DESC,
       coalesce(s.setdatabase, 0) <> 0 DESC
     LIMIT 1`,
    [name],
  );
  const { database, role, inRole, inDatabase } = rows[0]!;
  const set = `SET ${name} = ${value}`;
  if (inRole) return `ALTER ROLE ${ident(role)} ${inDatabase ? `IN DATABASE ${ident(database)} ` : ""}${set}`;
  return inDatabase
    ? `ALTER DATABASE ${ident(database)} ${set}`
    : `ALTER SYSTEM ${set}; SELECT pg_reload_conf()`;
}

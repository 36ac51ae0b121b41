import type { ClientBase } from "pg";

import { ident } from "../postgres/quote.ts";
import type { Check } from "./check.ts";

/**
 * Settings with which an apply or tablesync worker stores different values than it was sent, or fails. No option of a
 * subscription overrides them: a worker has the settings of the destination's role and database. Seen on 15: with
 * client_encoding = LATIN1, 'ü' arrives as 'Ã¼'; with array_nulls = off, a NULL in an array as the text 'NULL'.
 */
const WANTED: Readonly<Record<string, string>> = {
  array_nulls: "on",
  xmloption: "content",
};

/** Refuses a destination whose role or database has settings that would change replicated rows. */
export const workerSettings: Check = async ({ destination, to }) => {
  const found = await readInherited(destination);
  return found.map(
    ({ name, value, wanted, database, role }) =>
      `${to.name} has ${name} = ${value} for the workers of the subscription, which would change replicated rows: ` +
      `ALTER ROLE ${ident(role)} IN DATABASE ${ident(database)} SET ${name} = '${wanted}'`,
  );
};

interface Inherited {
  name: string;
  value: string;
  wanted: string;
  database: string;
  role: string;
}

/**
 * Reads the settings that a worker of the current role and database would start with, and returns the harmful ones. The
 * client_encoding of our own session says nothing about it: a driver always sends one.
 */
async function readInherited(client: ClientBase): Promise<Inherited[]> {
  const { rows } = await client.query<Inherited>(
    `WITH here AS (
       SELECT d.oid AS database, d.datname::text AS database_name, d.encoding, r.oid AS role, r.rolname::text AS role_name
       FROM pg_database d, pg_roles r WHERE d.datname = current_database() AND r.rolname = current_user
     ), inherited AS (
       SELECT DISTINCT ON (name) split_part(entry, '=', 1) AS name, substr(entry, strpos(entry, '=') + 1) AS value
       FROM here, pg_db_role_setting s, unnest(s.setconfig) entry, lower(split_part(entry, '=', 1)) AS name
       WHERE s.setdatabase IN (0, database) AND s.setrole IN (0, role)
       -- A role in a database takes precedence over a role, a role over a database.
       ORDER BY name, (s.setdatabase <> 0 AND s.setrole <> 0) DESC, s.setrole <> 0 DESC, s.setdatabase <> 0 DESC
     ), harmful AS (
       SELECT name, value, pg_encoding_to_char(encoding) AS wanted FROM here, inherited
       -- SQL_ASCII (0) converts nothing.
       WHERE name = 'client_encoding' AND pg_char_to_encoding(value) NOT IN (0, encoding)
       UNION ALL
       SELECT name, reset_val, wanted FROM pg_settings JOIN json_each_text($1) AS w (name, wanted) USING (name)
       WHERE reset_val <> wanted
     )
     SELECT name, value, wanted, database_name AS database, role_name AS role FROM harmful, here ORDER BY name`,
    [JSON.stringify(WANTED)],
  );
  return rows;
}

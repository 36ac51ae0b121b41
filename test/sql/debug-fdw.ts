import type { PostgresServer } from "../../src/sandbox/index.ts";
import { createDatabase, type TestDatabase } from "../support/index.ts";
import { column, psqlOk, upScript } from "./psql.ts";

/** The schema of the SQL API. */
export const apiSchema = "microsharding";
/** A server in the form in which it is given to the debug views. */
export const hostOf = ({ server }: TestDatabase, host = "127.0.0.1"): string => `${host}:${server.port}`;

/** What a debug view shows: shards with ids. */
export const rowsOf = (db: TestDatabase, table: string): Promise<unknown[]> =>
  column(db, `SELECT shard || ' ' || id FROM public.${table} ORDER BY shard, id`);

/** Foreign servers, and schemas of foreign shards, by name. */
export const made = (db: TestDatabase): Promise<unknown[]> =>
  column(
    db,
    `SELECT replace(name, '${db.server.port}', 'PORT') FROM (
       SELECT nspname::text AS name FROM pg_namespace WHERE nspname LIKE '%\\_sh0%'
       UNION ALL SELECT srvname FROM pg_foreign_server
     ) AS all_of_it ORDER BY 1`,
  );

/** Two islands with databases of one name; shards 1 and 2 are active on the first, 3 and 4 on the second. */
export async function createPair(
  a: PostgresServer,
  b: PostgresServer,
  name: string,
): Promise<[TestDatabase, TestDatabase]> {
  const pair = [await createDatabase(a, { name }), await createDatabase(b, { name })] as [
    TestDatabase,
    TestDatabase,
  ];
  for (const [index, db] of pair.entries()) {
    await psqlOk(db, upScript(apiSchema));
    await db.rows(`SELECT ${apiSchema}.microsharding_ensure_exist(1, 4)`);
    // All four are on both islands, as after moves.
    await db.rows(`SELECT ${apiSchema}.microsharding_ensure_active(${index * 2 + 1}, ${index * 2 + 2})`);
    for (const n of [1, 2, 3, 4]) {
      await db.rows(`CREATE TYPE sh000${n}.mood AS ENUM ('good', 'bad')`);
      await db.rows(
        `CREATE TABLE sh000${n}.users(id int, "Mood" sh000${n}.mood, code char(3), at timestamptz, tags text[])`,
      );
      await db.rows(
        `INSERT INTO sh000${n}.users VALUES ($1, 'bad', 'a', now(), '{x,y}'), ($1 + 1, 'good', 'abc', NULL, NULL)`,
        [n * 10 + index * 100],
      );
    }
  }
  return pair;
}

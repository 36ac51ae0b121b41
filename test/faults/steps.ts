import { type TestDatabase, waitFor, withClient } from "../support/index.ts";

const LOCK = 42;

/** Puts a row into the shard's large table at which indexing or analyzing it can be made to wait. */
export const STALL_SQL = `
  CREATE FUNCTION sh0042.stall(id bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS
    'BEGIN IF id = 500 THEN PERFORM pg_advisory_xact_lock_shared(${LOCK}); END IF; RETURN id; END';
  CREATE INDEX large_stall ON sh0042.large (sh0042.stall(id))`;

/** Makes rows that are copied into a table of the destination stall. */
export const stallRowsSql = (table: string): string => `
  CREATE FUNCTION sh0042.stall_row() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN IF NEW.id = 500 THEN PERFORM pg_advisory_xact_lock_shared(${LOCK}); END IF; RETURN NEW; END';
  CREATE TRIGGER stall BEFORE INSERT ON ${table} FOR EACH ROW EXECUTE FUNCTION sh0042.stall_row();
  ALTER TABLE ${table} ENABLE ALWAYS TRIGGER stall`;

/**
 * Runs a function while everybody who reaches the row waits there.
 *
 * @param use gets a function that resolves when somebody is waiting.
 */
export async function whileStalled<T>(
  database: TestDatabase,
  use: (stalled: () => Promise<unknown>) => Promise<T>,
): Promise<T> {
  return withClient(database.dsn, async (client) => {
    await client.query("SELECT pg_advisory_lock($1)", [LOCK]);
    const waiting = `SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database
      WHERE l.locktype = 'advisory' AND NOT l.granted AND d.datname = current_database()`;
    return use(() =>
      waitFor(async () => (await client.query(waiting)).rowCount !== 0, { what: "the middle of the step" }),
    );
  });
}

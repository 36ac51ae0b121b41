import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import { dropPublication } from "../../../src/postgres/replication/objects.ts";
import { recordSql } from "../../../src/postgres/replication/replica-identity.ts";
import { createDatabase, type TestDatabase, testIslands, waitFor } from "../../support/index.ts";

let database: TestDatabase;
before(async () => {
  database = await createDatabase((await testIslands()).a);
});

const [FIRST, SECOND] = ["shardferry_first_0123456789_abcdef", "shardferry_second_0123456789_abcdef"];
const FULL = "ALTER TABLE t REPLICA IDENTITY FULL";

const identity = async (): Promise<string> =>
  (
    await database.rows<{ is: string }>("SELECT relreplident AS is FROM pg_class WHERE oid = 't'::regclass")
  )[0]!.is;

/** Records the identity, as each replication does before it changes it. */
async function record(publication: string): Promise<void> {
  const [{ oid }] = (await database.rows("SELECT 't'::regclass::oid::text AS oid")) as [{ oid: string }];
  await database.rows(recordSql(publication, [{ oid, was: "d" }]));
}

const ADVISORY = `SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database
  WHERE l.locktype = 'advisory' AND d.datname = current_database()`;

const waitForLock = (): Promise<unknown> =>
  waitFor(
    async () =>
      (await database.rows("SELECT FROM pg_locks WHERE relation = 't'::regclass AND NOT granted")).length > 0,
    { what: "the other one to wait for the table" },
  );

describe("the identity of a table without a key", () => {
  it("stays as long as one of two replications needs it, even one that has not published the table yet", async () => {
    await database.rows("CREATE TABLE t (n int); INSERT INTO t VALUES (1)");
    await record(FIRST);
    await database.rows(`${FULL}; ALTER PUBLICATION ${FIRST} ADD TABLE t`);
    await record(SECOND);
    await database.rows(FULL);
    await database.withClient((client) => dropPublication(client, FIRST));
    assert.equal(await identity(), "f");
    await database.rows(`ALTER PUBLICATION ${SECOND} ADD TABLE t`);
    // Without identity, PostgreSQL would refuse it.
    await database.rows("UPDATE t SET n = 2");
    await database.withClient((client) => dropPublication(client, SECOND));
    assert.equal(await identity(), "d");
  });

  it("stays when another replication begins at the very moment when the last one ends", async () => {
    await record(FIRST);
    await database.rows(`${FULL}; ALTER PUBLICATION ${FIRST} ADD TABLE t`);
    await database.withClient(async (beginning) => {
      // Its record cannot be seen yet when the other one looks, but can be before the other one changes anything.
      await beginning.query("BEGIN; LOCK TABLE t IN SHARE UPDATE EXCLUSIVE MODE");
      const ending = database.withClient((client) => dropPublication(client, FIRST));
      await waitForLock();
      await record(SECOND);
      await beginning.query("COMMIT");
      await ending;
    });
    assert.equal(await identity(), "f");
    await database.withClient((client) => dropPublication(client, SECOND));
    assert.equal(await identity(), "d");
  });

  it("is restored when two replications end at the same moment", async () => {
    await record(FIRST);
    await record(SECOND);
    await database.rows(
      `${FULL}; ALTER PUBLICATION ${FIRST} ADD TABLE t; ALTER PUBLICATION ${SECOND} ADD TABLE t`,
    );
    const drop = (publication: string): Promise<void> =>
      database.withClient((client) => dropPublication(client, publication));
    await database.withClient(async (reader) => {
      // Both have begun to look who else publishes the table before either has changed anything.
      await reader.query("BEGIN; LOCK TABLE t IN SHARE UPDATE EXCLUSIVE MODE");
      const ending = Promise.all([drop(FIRST), drop(SECOND)]);
      await waitForLock();
      await waitFor(async () => (await database.rows(`${ADVISORY} AND NOT granted`)).length > 0, {
        what: "the second one to wait for the first",
      });
      await reader.query("COMMIT");
      await ending;
    });
    assert.equal(await identity(), "d");
    assert.deepEqual(await database.rows("SELECT FROM pg_publication"), []);
    assert.deepEqual(await database.rows(ADVISORY), []);
  });
});

import assert from "node:assert/strict";
import { it } from "node:test";

import { type Blocker, blockersOf, type Ending, endTransaction } from "../../src/postgres/blockers.ts";
import { Islands } from "../../src/postgres/islands/connections.ts";
import { parseDsn } from "../../src/postgres/islands/dsn.ts";
import { backendPid } from "../../src/postgres/session.ts";
import { createDatabase } from "../support/database.ts";
import { testIslands, waitFor } from "../support/index.ts";

it("a blocker is told with its island, its age, its statement cut between words, and the SQL that ends it", async () => {
  const { a } = await testIslands();
  const database = await createDatabase(a);
  const dsn = parseDsn(database.dsn);
  const islands = new Islands([dsn]);
  await database.rows("CREATE TABLE t (id int)");
  /** Who blocks a session that wants the whole table. */
  const seen = (): Promise<Blocker[]> =>
    database.withClient(async (waiter) => {
      const wait = waiter.query("BEGIN; LOCK TABLE t").catch(() => undefined);
      const pid = backendPid(waiter);
      const look = (): Promise<Blocker[]> => islands.withLook(dsn.name, (client) => blockersOf(client, pid));
      const found = await waitFor(
        async () => {
          const blockers = await look();
          return blockers.length > 0 ? blockers : null;
        },
        { what: "a blocker", timeout: 20_000 },
      );
      await database.rows(`SELECT pg_cancel_backend(${pid})`);
      await wait;
      await waiter.query("ROLLBACK");
      return found;
    });
  await database.withClient(async (blocker) => {
    const pid = backendPid(blocker);
    const words = "SELECT 'one' AS a,\n  'two' AS b /* ".padEnd(200, "word ");
    await blocker.query(`BEGIN; SET application_name = 'web'; LOCK TABLE t IN ROW SHARE MODE`);
    await blocker.query(`${words}*/`);
    const [idle] = await seen();
    const { text } = idle!;
    assert.ok(text.startsWith(`pid ${pid} ${a.user} (web) on ${dsn.name}, idle in transaction for `), text);
    assert.ok(
      text.includes(` s, ended by SELECT pg_terminate_backend(${pid}): SELECT 'one' AS a, 'two'`),
      text,
    );
    assert.match(text, / word …$/);

    for (const secret of [
      "'Top''Secret99'",
      "E'Top\\'Secret99'",
      "$$TopSecret99$$",
      `'TopSecret99${"x".repeat(2000)}'`,
    ]) {
      await blocker.query(`DO LANGUAGE plpgsql $do$ BEGIN /* ALTER ROLE r PASSWORD ${secret} */ END $do$`);
      const [told] = await seen();
      assert.ok(told!.text.includes("ALTER ROLE r PASSWORD '***'"), told!.text);
      assert.doesNotMatch(told!.text, /Secret99/);
    }

    const active = blocker.query("SELECT pg_sleep(60)").catch(() => undefined);
    const [running] = await seen();
    assert.ok(running!.text.includes(`, active for `), running!.text);
    assert.ok(running!.text.endsWith(`ended by SELECT pg_cancel_backend(${pid}): SELECT pg_sleep(60)`));
    const end = (transaction: string | null, how: Ending): Promise<string | null> =>
      islands.withLook(dsn.name, (client) => endTransaction(client, transaction!, how));
    await database.rows(`SELECT pg_cancel_backend(${pid})`);
    await active;
    await blocker.query("ROLLBACK");
    // The same session has another transaction now.
    await blocker.query("BEGIN; LOCK TABLE t IN ROW SHARE MODE");
    assert.equal(await end(running!.transaction, "terminate"), null, "that transaction has ended");
    const [again] = await seen();
    assert.equal(await end(again!.transaction, "cancel"), null, "it has no statement to cancel");
    await blocker.query("SET application_name = 'shardferry_sh0042'");
    assert.equal(await end(again!.transaction, "terminate"), null, "it is one of our own");
    await blocker.query("SET application_name = 'web'");
    // At once: it may be cancelled before the wait below knows.
    const cancelled = assert.rejects(blocker.query("SELECT pg_sleep(60)"), /canceling statement/);
    await waitFor(async () => (await end(again!.transaction, "cancel")) !== null, {
      what: "the statement to be cancelled",
      timeout: 10_000,
    });
    await cancelled;
    assert.equal((await blocker.query("ROLLBACK")).command, "ROLLBACK");
  });
  await database.rows("BEGIN; LOCK TABLE t; PREPARE TRANSACTION 'forgotten'");
  const [prepared] = await seen();
  assert.match(prepared!.text, /^a prepared transaction .*, ended by ROLLBACK PREPARED 'forgotten'$/);
  await database.rows("ROLLBACK PREPARED 'forgotten'");
  await islands.close();
});

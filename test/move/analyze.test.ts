import assert from "node:assert/strict";
import { test } from "node:test";

import { progressOf } from "../../activities/move/analyze.ts";
import { createDatabase, testIslands, waitFor } from "../support/index.ts";

/** ANALYZE evaluates the expression for every sampled row: 300 times 3 ms. */
const SLOW = `
  CREATE FUNCTION slow(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 FROM pg_sleep(0.003)';
  CREATE TABLE busy AS SELECT generate_series(1, 300) AS id;
  CREATE STATISTICS busy_slow ON slow(id), id FROM busy;
  SET application_name TO others;
`;

test("the progress of analyze shows what our own sessions do, and not those of others", async () => {
  const database = await createDatabase((await testIslands()).a);
  await database.withClient(async (worker) => {
    await worker.query(SLOW);
    const analyzing = worker.query("ANALYZE busy");
    await database.withClient(async (looker) => {
      const note = await waitFor(
        async () => {
          const { note } = await progressOf(looker, "others");
          return note?.startsWith("analyzing") ? note : null;
        },
        { what: "the ANALYZE of the others", every: 5 },
      );
      assert.match(note, /^analyzing (public\.)?busy: /);
      assert.equal((await progressOf(looker, "ours")).note, "analyzing");
    });
    await analyzing;
  });
});

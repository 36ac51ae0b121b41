import assert from "node:assert/strict";
import { test } from "node:test";

import { install } from "../../src/postgres/api/install.ts";
import { createDatabase, testIslands } from "../support/index.ts";
import { codeBlocks, readDocument } from "./documents.ts";

test("the examples of the SQL functions run one after another", async () => {
  const { a } = await testIslands();
  const database = await createDatabase(a);
  const examples = codeBlocks(readDocument("docs/sql-api.md").text, "sql");
  await database.withClient(async (client) => {
    await install(client);
    for (const example of examples) {
      await client.query(example).catch((error: Error) => assert.fail(`${error.message} in\n${example}`));
    }
    const { rows } = await client.query<{ shards: number }>(
      "SELECT cardinality(microsharding_list_active_shards()) AS shards",
    );
    assert.equal(rows[0]!.shards, 7);
  });
  assert.ok(examples.length > 10);
});

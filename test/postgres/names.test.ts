import assert from "node:assert/strict";
import { test } from "node:test";

import { ident } from "../../src/postgres/quote.ts";
import { copyBase, copyName } from "../../src/postgres/schema/copy-names.ts";
import { findCopyName } from "../../src/postgres/schema/free-copy-name.ts";
import { createDatabase, testIslands } from "../support/index.ts";

const AT = new Date("2025-01-31T12:00:59.900Z");

test("a copy is named after its schema and the second in which it was made", () => {
  assert.equal(copyName("sh0042", "old", AT), "sh0042old_20250131120059");
  assert.equal(copyName("sh0042", "new", AT), "sh0042new_20250131120059");
});

test("the name of a copy of a schema with a long name has its full time, and differs for each schema", () => {
  const longest = "x".repeat(45);
  assert.equal(copyBase(longest), longest);
  for (const schema of ["y".repeat(46), "y".repeat(62) + "z", "ü".repeat(31), "𐍈".repeat(15) + "abc"]) {
    const name = copyName(schema, "old", AT);
    assert.ok(Buffer.byteLength(name) <= 63, name);
    assert.match(name, /^[^\uFFFD]+_[0-9a-f]{8}old_20250131120059$/);
    assert.ok(schema.startsWith(name[0]!));
  }
  assert.notEqual(copyBase("y".repeat(62) + "z"), copyBase("y".repeat(62) + "a"));
});

test("two copies of one second have different names", async () => {
  const database = await createDatabase((await testIslands()).a);
  await database.withClient(async (client) => {
    const first = await findCopyName(client, `Sh"1`, "old", AT);
    assert.deepEqual(first, { free: `Sh"1old_20250131120059`, taken: null });
    await client.query(`CREATE SCHEMA ${ident(first.free)}`);
    const second = await findCopyName(client, `Sh"1`, "old", AT);
    assert.deepEqual(second, { free: `Sh"1old_20250131120100`, taken: first.free });
  });
});

import assert from "node:assert/strict";
import { before, it } from "node:test";

import {
  handOver,
  readSequenceDefinitions,
  readSequenceValues,
  setSequences,
} from "../../src/sequences/hand-over.ts";
import { createDatabase, type TestDatabase, testIslands } from "../support/index.ts";

let database: TestDatabase;
before(async () => {
  database = await createDatabase((await testIslands()).a);
});

/** The values that the fenced old copy still hands out, and the first one of the destination. */
const CASES: [what: string, definition: string, use: string, old: string[], destination: string | null][] = [
  ["called", "", "SELECT nextval('o.s')", [], "2"],
  ["never called", "", "SELECT", ["0"], "1"],
  ["set to a value to come", "", "SELECT nextval('o.s'), setval('o.s', 500, false)", ["0"], "500"],
  ["with a cache", "CACHE 10", "SELECT nextval('o.s')", [], "11"],
  ["that counts down", "INCREMENT -3", "SELECT nextval('o.s')", [], "-4"],
  ["at the end of its type", "AS int2", "SELECT setval('o.s', 32767)", [], null],
  ["that begins again", "AS int2 CYCLE", "SELECT setval('o.s', 32767)", [], "1"],
  [
    "at the lower end of its type",
    "AS int2 MINVALUE -32768 START -32768",
    "SELECT nextval('o.s')",
    [],
    "-32767",
  ],
  ["never called at that end", "AS int2 MINVALUE -32768 START -32768", "SELECT", ["-32769"], "-32768"],
  [
    "never called at the lower end of bigint",
    "MINVALUE -9223372036854775808 START -9223372036854775808",
    "SELECT",
    ["-9223372036854775808"],
    "-9223372036854775807",
  ],
  [
    "that counts down from the upper end",
    "INCREMENT -1 MAXVALUE 9223372036854775807 START 9223372036854775807",
    "SELECT nextval('o.s')",
    [],
    "9223372036854775806",
  ],
];

for (const [what, definition, use, old, destination] of CASES) {
  it(`a sequence ${what} hands out nothing twice after a hand-over`, async () => {
    await database.withClient(async (client) => {
      await client.query(`DROP SCHEMA IF EXISTS o, d CASCADE; CREATE SCHEMA o; CREATE SCHEMA d`);
      await client.query(`CREATE SEQUENCE o.s ${definition}; CREATE SEQUENCE d.s ${definition}`);
      await client.query(use);
      const sequences = await readSequenceDefinitions(client, "o");
      const [value] = await readSequenceValues(client, "o", sequences);
      const shares = handOver("o", sequences[0]!, value!, false);
      await client.query([shares.fence, setSequences("d", [shares.destination])].join(";\n"));
    });
    // A separate session, which has no values in its cache.
    assert.deepEqual(
      [await valuesOf("o.s", 3), await valuesOf("d.s", 1)],
      [old, destination === null ? [] : [destination]],
    );
  });
}

async function valuesOf(sequence: string, most: number): Promise<string[]> {
  const values: string[] = [];
  try {
    while (values.length < most) {
      const [row] = await database.rows<{ value: string }>(`SELECT nextval('${sequence}')::text AS value`);
      values.push(row!.value);
    }
  } catch (error) {
    assert.equal((error as { code?: string }).code, "2200H");
  }
  return values;
}

import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import { readTables } from "../../src/postgres/schema/tables.ts";
import { createDatabase, expectNoLeftovers, testIslands } from "../support/index.ts";
import { createShard, createWorld, resultOf, untilPaused, type World } from "../support/world.ts";

/** Types with two values that are equal, but not the same. */
const INEXACT: Record<string, [type: string, first: string, second: string]> = {
  citext: ["public.citext", "'Ann@x'", "'ann@x'"],
  numeric: ["numeric", "1.0", "1.00"],
  float: ["float8", "'0'", "'-0'"],
  interval: ["interval", "'1 day'", "'24 hours'"],
  jsonb: ["jsonb", "'1.0'", "'1.00'"],
  char: ["bpchar", "'a'", "'a  '"],
  tsquery: ["tsquery", "'a:A'", "'a:B'"],
  array: ["numeric[]", "'{1.0}'", "'{1.00}'"],
  range: ["numrange", "'[1.0,2)'", "'[1.00,2)'"],
  multirange: ["nummultirange", "'{[1.0,2)}'", "'{[1.00,2)}'"],
  composite: [":s.pair", "'(1,2.0)'", "'(1,2.00)'"],
  domain: [":s.amount", "1.0", "1.00"],
};

/** Types whose equal values are the same. */
const EXACT = [
  ...[
    "text",
    "varchar(9)",
    "char(3)",
    "numeric(10, 2)",
    "int[]",
    "text[][]",
    "timestamptz",
    "timetz",
    "uuid",
    "inet",
  ],
  ...[
    "bit(5)",
    "varbit",
    "tsvector",
    "money",
    "int4range",
    "datemultirange",
    "bytea",
    '"char"',
    "name",
    ":s.mood",
  ],
  ...[":s.mood[]", ":s.price", "char(3)[]", "tid", "xid", "pg_lsn", "macaddr", ":s.code", "oidvector"],
];

/** Values of exact types that are nearly the same. */
const UNEQUAL = [
  ["int[]", "{1}", "[0:0]={1}"],
  ["int[]", "{}", "{NULL}"],
  ["tsvector", "a:1", "a:1A"],
  ["timetz", "12:00+01", "11:00+00"],
  ["varchar", "a", "a "],
  ["inet", "10.0.0.1/8", "10.0.0.1/32"],
  ["varbit", "0", "00"],
  ["numrange", "[1,2)", "[1,2]"],
] as const;

const TYPES = `
  CREATE TYPE :s.pair AS (a int, n numeric);
  CREATE DOMAIN :s.amount AS numeric;
  CREATE DOMAIN :s.price AS numeric(8, 2);
  CREATE TYPE :s.mood AS ENUM ('sad', 'happy');
  CREATE TYPE :s.code AS (c char(2), n numeric(3, 1), m :s.mood);`;

const inSchema = (sql: string): string => sql.replaceAll(":s", "sh0042");

describe("tables without a key", { timeout: 120_000 }, () => {
  let world: World;
  before(async () => {
    world = await createWorld({ forFile: true });
    for (const database of [world.a, world.b]) await database.rows("CREATE EXTENSION citext SCHEMA public");
  });

  it("keep the right one of two rows that are equal but not the same, and the operator is told", async () => {
    const { a, b } = world;
    const tables = Object.entries(INEXACT).map(
      ([name, [type, first, second]]) =>
        `CREATE TABLE :s.t_${name} (v ${type}); INSERT INTO :s.t_${name} VALUES (${first}), (${second});`,
    );
    const keyed =
      "CREATE TABLE :s.keyed (v public.citext PRIMARY KEY); INSERT INTO :s.keyed VALUES ('Ann@x')";
    await createShard(a, 42, inSchema([TYPES, ...tables, keyed].join("\n")));
    await world.startWorker();
    const handle = await world.startMove({ wait: true });
    const { events } = await untilPaused(handle);
    for (const [name, [type, first, second]] of Object.entries(INEXACT)) {
      const [equal] = await a.rows(inSchema(`SELECT ${first}::${type} = ${second}::${type} AS equal`));
      assert.deepEqual(equal, { equal: true }, name);
      await a.rows(`DELETE FROM sh0042.t_${name} WHERE ctid = '(0,2)'`);
    }
    await a.rows("UPDATE sh0042.keyed SET v = 'ann@x'");
    await handle.signal("confirm");
    await resultOf(handle);

    for (const name of Object.keys(INEXACT)) {
      const left = async (schema: string, database = b): Promise<unknown> =>
        database.rows(`SELECT v::text FROM ${schema}.t_${name}`);
      const [{ old }] = (await a.rows(
        "SELECT nspname AS old FROM pg_namespace WHERE nspname LIKE 'sh0042old%'",
      )) as [{ old: string }];
      assert.deepEqual(await left("sh0042"), await left(old, a), name);
    }
    assert.deepEqual(await b.rows("SELECT v FROM sh0042.keyed"), [{ v: "ann@x" }]);
    const told = events.map(({ text }) => text).find((text) => text.includes("copied while writers wait"));
    assert.match(told!, new RegExp(`: ${Object.keys(INEXACT).length} tables, among them t_array \\(`));
    await expectNoLeftovers(a, b);
  });

  it("are replicated if equal rows are the same, or if they have a key of any type", async () => {
    const database = await createDatabase((await testIslands()).a);
    await database.rows("CREATE EXTENSION citext SCHEMA public");
    const columns = EXACT.map((type, i) => `c${i} ${type}`);
    await database.rows(
      inSchema(`CREATE SCHEMA :s; ${TYPES} CREATE TABLE :s.exact (${columns.join(", ")});
        CREATE TABLE :s.keyed (v public.citext PRIMARY KEY, n numeric);
        CREATE TABLE :s.full_keyed (v numeric PRIMARY KEY, n numeric); ALTER TABLE :s.full_keyed REPLICA IDENTITY FULL;
        CREATE TABLE :s.inexact (v text, n numeric); ALTER TABLE :s.inexact REPLICA IDENTITY FULL;
        CREATE COLLATION :s.loose FROM "C"; CREATE TABLE :s.loosely (v text[] COLLATE :s.loose)`),
    );
    // Only builds with ICU have such collations.
    await database.rows("UPDATE pg_collation SET collisdeterministic = false WHERE collname = 'loose'");
    const tables = await database.withClient((client) => readTables(client, "sh0042"));
    assert.deepEqual(
      tables.map(({ name, hasIdentity, comparable }) => [name, hasIdentity, comparable]),
      [
        ["exact", false, true],
        ["full_keyed", true, false],
        ["inexact", false, false],
        ["keyed", true, false],
        ["loosely", false, false],
      ],
    );
  });

  it("of exact types are different where they look different", async () => {
    const database = await createDatabase((await testIslands()).a);
    const equal = UNEQUAL.map(
      ([type, one, other]) => `SELECT '${type}' AS type WHERE '${one}'::${type} = '${other}'::${type}`,
    );
    assert.deepEqual(await database.rows(equal.join(" UNION ALL ")), []);
  });
});

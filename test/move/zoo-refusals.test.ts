import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { readTables } from "../../src/postgres/schema/tables.ts";
import { tooLargeToLock } from "../../src/preflight/shard.ts";
import { expectNoLeftovers } from "../support/index.ts";
import { activePlaces, createWorld, resultOf, type World } from "../support/world.ts";

interface Refusal {
  /** What cannot be moved. */
  what: string;
  /** SQL that creates it on the source; `:s` is the shard's schema. */
  source: string;
  destination?: string;
  /** What the refusal says: the object, and what to change. */
  says: RegExp;
}

const OUTSIDE = "is not part of the schema, is built on";

const REFUSALS: Refusal[] = [
  {
    what: "a foreign key to another schema",
    source:
      "CREATE TABLE other.target (id int PRIMARY KEY); CREATE TABLE :s.t (o int REFERENCES other.target)",
    destination: "CREATE TABLE other.target (id int PRIMARY KEY)",
    says: /^foreign key t_o_fkey of sh\d+\.t refers to other\.target, .*drop or move that object first$/,
  },
  {
    what: "a foreign key from another schema",
    source: "CREATE TABLE :s.t (id int PRIMARY KEY); CREATE TABLE other.pointing (o int REFERENCES :s.t)",
    says: new RegExp(`^table constraint pointing_o_fkey on other.pointing, which ${OUTSIDE} table sh`),
  },
  {
    what: "a partition of a parent in another schema",
    source:
      "CREATE TABLE other.parent (id int) PARTITION BY LIST (id); CREATE TABLE :s.part PARTITION OF other.parent DEFAULT",
    destination: "CREATE TABLE other.parent (id int) PARTITION BY LIST (id)",
    says: /^sh\d+\.part is a partition or child of other\.parent, which is in another schema/,
  },
  {
    what: "a parent of a partition in another schema",
    source:
      "CREATE TABLE :s.parent (id int) PARTITION BY LIST (id); CREATE TABLE other.part PARTITION OF :s.parent DEFAULT",
    says: new RegExp(`^table other.part, which ${OUTSIDE} table sh`),
  },
  {
    what: "a child of a table, in another schema",
    source: "CREATE TABLE :s.parent (id int); CREATE TABLE other.child () INHERITS (:s.parent)",
    says: new RegExp(`^table other.child, which ${OUTSIDE} table sh`),
  },
  {
    what: "a column of another schema with a type of this one",
    source: "CREATE TYPE :s.mood AS ENUM ('a'); CREATE TABLE other.typed (m :s.mood[])",
    says: new RegExp(`^table column other.typed.m, which ${OUTSIDE} type sh`),
  },
  {
    what: "a default of another schema with a sequence of this one",
    source: "CREATE SEQUENCE :s.ids; CREATE TABLE other.defaulted (id int DEFAULT nextval(':s.ids'))",
    says: new RegExp(`^default value for other.defaulted.id, which ${OUTSIDE} sequence sh`),
  },
  {
    what: "a trigger of another schema with a function of this one",
    source: `CREATE FUNCTION :s.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; CREATE TABLE other.triggered ();
      CREATE TRIGGER t AFTER INSERT ON other.triggered EXECUTE FUNCTION :s.f()`,
    says: new RegExp(`^trigger t on other.triggered, which ${OUTSIDE} function sh`),
  },
  {
    what: "statistics of another schema on a table of this one",
    source: "CREATE TABLE :s.t (a int, b int); CREATE STATISTICS other.stat ON a, b FROM :s.t",
    says: new RegExp(`^statistics object other.stat, which ${OUTSIDE} table sh`),
  },
  {
    what: "a cast, which belongs to no schema",
    source: `CREATE TYPE :s.mood AS ENUM ('a'); CREATE FUNCTION :s.f(:s.mood) RETURNS int LANGUAGE sql AS 'SELECT 1';
      CREATE CAST (:s.mood AS int) WITH FUNCTION :s.f(:s.mood)`,
    says: new RegExp(`^cast \\(sh\\d+.mood AS integer\\), which ${OUTSIDE} `),
  },
  {
    what: "an extension in the schema",
    source: "CREATE EXTENSION intarray SCHEMA :s",
    says: /^extension intarray lives in the schema .*drop or move that object first$/,
  },
  {
    what: "an extension that the destination lacks",
    source: "CREATE EXTENSION hstore SCHEMA public; CREATE TABLE :s.t (id int, h hstore)",
    says: /^extension hstore is missing on .*CREATE EXTENSION hstore$/,
  },
  {
    what: "a type of another schema that the destination lacks",
    source: "CREATE DOMAIN other.email AS text; CREATE TABLE :s.t (e other.email)",
    says: /^type other\.email is used by schema "sh\d+" on .* and is missing on .*: create it there$/,
  },
  {
    what: "a column of another schema that the destination lacks",
    source: "CREATE TABLE other.wide (a int, b int); CREATE VIEW :s.v AS SELECT b FROM other.wide",
    destination: "CREATE TABLE other.wide (a int)",
    says: /^table column other\.wide\.b is used by schema .*: create it there$/,
  },
  {
    what: "a role that the destination lacks",
    source: "CREATE TABLE :s.t (id int); GRANT SELECT ON :s.t TO :role",
    says: /^role "refused_[^"]+" owns or may use objects of schema .* and is missing on .*: CREATE ROLE "refused_/,
  },
  {
    what: "the owner of an operator, whom the destination lacks",
    source: `CREATE FUNCTION :s.f(int, int) RETURNS boolean LANGUAGE sql AS 'SELECT true'; GRANT CREATE ON SCHEMA :s TO PUBLIC;
      CREATE OPERATOR :s.=== (FUNCTION = :s.f, LEFTARG = int, RIGHTARG = int); ALTER OPERATOR :s.=== (int, int) OWNER TO :role`,
    says: /^role "refused_[^"]+" owns or may use objects/,
  },
  {
    what: "large objects",
    source:
      "CREATE TABLE :s.t (id int PRIMARY KEY, o oid); INSERT INTO :s.t VALUES (1, lo_from_bytea(0, 'x'))",
    says: /^column "o" of table "t" on .* refers to large objects, which cannot be moved: keep them in a bytea column$/,
  },
  {
    what: "partitioning by the hash of an enum",
    source: `CREATE TYPE :s.mood AS ENUM ('a', 'b'); CREATE DOMAIN :s.feeling AS :s.mood;
      CREATE TABLE :s.hashed (id int, m :s.feeling) PARTITION BY HASH (id, m)`,
    says: /^table "hashed" on .* is partitioned by the hash of sh\d+\.feeling, .*partition it by another column or by LIST$/,
  },
  {
    what: "a schema that already exists on the destination",
    source: "CREATE TABLE :s.t (id int)",
    destination: "CREATE SCHEMA :s",
    says: /^schema "sh\d+" exists on .* already: rename or drop it$/,
  },
];

describe("preflight refuses, before anything is created,", () => {
  let world: World;
  const role = `refused_${process.pid}_${Date.now()}`;
  before(async () => {
    world = await createWorld({ forFile: true });
    await world.startWorker();
    for (const database of [world.a, world.b]) await database.rows("CREATE SCHEMA other");
    await world.a.rows(`CREATE ROLE ${role}`);
  });
  after(async () => {
    await world.a.rows(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
  });

  for (const [i, { what, source, destination, says }] of REFUSALS.entries()) {
    it(what, async () => {
      const { a, b } = world;
      const shard = 100 + i;
      const schema = `sh0${shard}`;
      const fill = (sql: string): string => sql.replaceAll(":s", schema).replaceAll(":role", role);
      await a.rows("SELECT microsharding.microsharding_ensure_exist($1)", [shard]);
      await a.rows(fill(source));
      await a.rows("SELECT microsharding.microsharding_ensure_active($1)", [shard]);
      if (destination) await b.rows(fill(destination));
      const before = await schemasOf(world);

      const handle = await world.startMove({ shard, schema });
      await assert.rejects(resultOf(handle), ({ message }: Error) => {
        assert.match(message, says);
        return true;
      });
      assert.deepEqual(await schemasOf(world), before);
      assert.deepEqual(await activePlaces(schema, a, b), [a.name]);
      await expectNoLeftovers(a, b);
      if (destination?.includes("lc_monetary"))
        await b.rows(fill("ALTER DATABASE :database RESET lc_monetary"));
    });
  }
});

async function schemasOf({ a, b }: World): Promise<string[]> {
  const lists = [a, b].map((database) =>
    database.rows<{ name: string }>(
      "SELECT nspname AS name FROM pg_namespace WHERE nspname ~ '^sh' ORDER BY 1",
    ),
  );
  return (await Promise.all(lists)).map((rows) => rows.map(({ name }) => name).join(" "));
}

describe("tables that are copied while writers wait", () => {
  it("are refused when they are too large in total, the largest first", async () => {
    const { a } = await createWorld();
    await a.rows(`CREATE SCHEMA s; CREATE UNLOGGED TABLE s.small AS SELECT 1;
      CREATE UNLOGGED TABLE s.large AS SELECT repeat('x', 1000) FROM generate_series(1, 100);
      CREATE TABLE s.odd AS SELECT json '{}' FROM generate_series(1, 1000)`);
    const tables = await a.withClient((client) => readTables(client, "s"));
    assert.deepEqual(tooLargeToLock(tables, "here"), []);
    const [first, second] = tooLargeToLock(tables, "here", 100_000);
    assert.match(
      first!,
      /^unlogged table "large" on here can only be copied while writers wait.*SET LOGGED, or empty it$/,
    );
    assert.match(
      second!,
      /^table "odd" on here, which has no key and columns that cannot be compared.*add a primary key$/,
    );
  });
});

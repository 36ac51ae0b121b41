import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { parseDump } from "../../../src/postgres/schema/dump-statements.ts";
import { inWordsOf } from "../../../src/postgres/schema/for-older-server.ts";

async function inWords(major: number, sql: string): Promise<string[]> {
  const { preData } = await inWordsOf(major, { preData: await parseDump(sql), postData: [] });
  return preData.map((statement) => statement.sql);
}

describe("a dump of PostgreSQL 18 for an older server", () => {
  it("makes an inherited column NOT NULL with a separate statement", async () => {
    assert.deepEqual(
      await inWords(
        17,
        'CREATE TABLE s.car (\n    NOT NULL "i""d",\n    doors integer\n)\nINHERITS (s.vehicle);',
      ),
      [
        "CREATE TABLE s.car (\n    doors integer\n)\nINHERITS (s.vehicle)",
        'ALTER TABLE ONLY "s"."car" ALTER COLUMN "i""d" SET NOT NULL',
      ],
    );
  });

  it("does so wherever it occurs: with a name, after characters of several bytes, and as the only element", async () => {
    assert.deepEqual(
      await inWords(
        14,
        `CREATE TABLE s."ü" ("ö" text DEFAULT 'NOT NULL a,', CONSTRAINT "x y" NOT NULL "é, b" NO INHERIT, CONSTRAINT z NOT NULL c) INHERITS (s.p);`,
      ),
      [
        `CREATE TABLE s."ü" ("ö" text DEFAULT 'NOT NULL a,') INHERITS (s.p)`,
        'ALTER TABLE ONLY "s"."ü" ALTER COLUMN "é, b" SET NOT NULL',
        'ALTER TABLE ONLY "s"."ü" ALTER COLUMN "c" SET NOT NULL',
      ],
    );
    const [create] = await inWords(16, "CREATE TABLE s.only (\n    NOT NULL id\n)\nINHERITS (s.p);");
    assert.equal(create, "CREATE TABLE s.only (\n    )\nINHERITS (s.p)");
  });

  it("does not grant MAINTAIN to an owner, who may do that anyway, and leaves it where it would be lost", async () => {
    const dump = `ALTER TABLE s."t,MAINTAIN" OWNER TO "o w";
      GRANT SELECT,MAINTAIN,UPDATE ON TABLE s."t,MAINTAIN" TO "o w";
      GRANT SELECT,MAINTAIN,UPDATE ON TABLE s."t,MAINTAIN" TO other;`;
    const [, own, other] = await inWords(16, dump);
    assert.equal(own, 'GRANT SELECT,UPDATE ON TABLE s."t,MAINTAIN" TO "o w"');
    assert.equal(other, 'GRANT SELECT,MAINTAIN,UPDATE ON TABLE s."t,MAINTAIN" TO other');
    const alone =
      "ALTER TABLE s.t OWNER TO postgres; GRANT MAINTAIN ON TABLE s.t TO postgres WITH GRANT OPTION";
    assert.deepEqual(await inWords(16, alone), ["ALTER TABLE s.t OWNER TO postgres"]);
    assert.match((await inWords(17, dump))[1]!, /MAINTAIN,UPDATE/);
  });

  it("has no NOT VALID foreign key of a partitioned table", async () => {
    const key = "ADD CONSTRAINT k FOREIGN KEY (a) REFERENCES s.u(id) NOT VALID";
    const dump = `ALTER TABLE s.parted ${key}; ALTER TABLE ONLY s.plain ${key}`;
    assert.deepEqual(await inWords(17, dump), [
      "ALTER TABLE s.parted ADD CONSTRAINT k FOREIGN KEY (a) REFERENCES s.u(id)",
      `ALTER TABLE ONLY s.plain ${key}`,
    ]);
    assert.deepEqual(await inWords(18, dump), [
      `ALTER TABLE s.parted ${key}`,
      `ALTER TABLE ONLY s.plain ${key}`,
    ]);
  });

  it("lacks the number that newer minors keep among the options of a column", async () => {
    const dump = `ALTER TABLE ONLY s.t ALTER COLUMN id SET (pg_attver=22160648);
      ALTER TABLE ONLY s.t ALTER COLUMN a SET (n_distinct=5, pg_attver=22160648);
      ALTER TABLE ONLY s.t ALTER COLUMN b SET (pg_attver=22160648, n_distinct=5);
      ALTER TABLE ONLY s.t ALTER COLUMN c SET (n_distinct=5)`;
    const column = (name: string): string => `ALTER TABLE ONLY s.t ALTER COLUMN ${name} SET (n_distinct=5)`;
    for (const major of [15, 18]) assert.deepEqual(await inWords(major, dump), ["a", "b", "c"].map(column));
  });

  it("stays as it is for a server of the same version", async () => {
    const sql = "CREATE TABLE s.car (\n    NOT NULL id\n)\nINHERITS (s.vehicle)";
    assert.deepEqual(await inWords(18, `${sql};`), [sql]);
  });
});

describe("a dump of thousands of objects", () => {
  const object = (name: string, sql: string): string =>
    `\n--\n-- Name: ${name}; Type: TABLE\n--\n\n${sql};\n`;

  it("is parsed piece by piece, while other work goes on, also if the text of a function looks like objects", async () => {
    const tables = Array.from({ length: 2000 }, (_, i) => object(`t${i}`, `CREATE TABLE s.t${i} (id int)`));
    const body = tables.join("");
    const dump = [
      ...tables,
      object("f()", `CREATE FUNCTION s.f() RETURNS text LANGUAGE sql AS $$ SELECT '${body}' $$`),
      ...tables,
    ];
    let turns = 0;
    const timer = setInterval(() => turns++);
    const statements = await parseDump(dump.join(""));
    clearInterval(timer);
    assert.ok(turns > 2, `${turns} turns of other work`);
    const names = tables.map((_, i) => `t${i}`);
    assert.deepEqual(
      statements.map(({ name }) => name),
      [...names, "f", ...names],
    );
    assert.ok(statements[2000]!.sql.endsWith(`${body}' $$`));
  });
});

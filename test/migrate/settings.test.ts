import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { loadSettings } from "../../src/config/settings.ts";
import { readLayout } from "../../src/layout/read.ts";
import { withIslands } from "../../src/postgres/islands/discover.ts";
import { ident } from "../../src/postgres/quote.ts";
import { type TestDatabase } from "../support/index.ts";
import { createShard, createWorld, resultOf } from "../support/world.ts";
import { createMigrateWorld, schemaOf, shardsOf } from "./world.ts";

/**
 * The settings of our sessions in which the operator's SQL runs: timeouts, settings on which the parser of migrations and
 * waiting for locks rely, and those that every client sends.
 */
const ALLOWED = [
  "application_name",
  "client_connection_check_interval",
  "client_encoding",
  "client_min_messages",
  "default_transaction_isolation",
  "default_transaction_read_only",
  "idle_in_transaction_session_timeout",
  "idle_session_timeout",
  "lock_timeout",
  "standard_conforming_strings",
  "statement_timeout",
  "tcp_keepalives_count",
  "tcp_keepalives_idle",
  "tcp_keepalives_interval",
  "tcp_user_timeout",
  "transaction_timeout",
];
/** For sessions with SQL that only reads. */
const ALLOWED_LOOKING = [...ALLOWED, "search_path"];

const SET_BY_US = "SELECT name FROM pg_settings WHERE source IN ('client', 'session')";

/** Defaults of a database that change what SQL means, as an application may have them. */
const OF_THE_DATABASE = {
  datestyle: "SQL, DMY",
  intervalstyle: "sql_standard",
  extra_float_digits: "0",
  bytea_output: "escape",
  lc_monetary: "C",
  plan_cache_mode: "force_custom_plan",
};

async function setDefaults(database: TestDatabase): Promise<void> {
  for (const [name, value] of Object.entries(OF_THE_DATABASE))
    await database.rows(
      `ALTER DATABASE ${ident(database.name)} SET ${name} = ${value.includes(",") ? value : `'${value}'`}`,
    );
}

function expectAllowed(names: readonly string[], allowed: readonly string[]): void {
  assert.ok(names.length > 0);
  assert.deepEqual(
    names.filter((name) => !allowed.includes(name.toLowerCase())),
    [],
  );
}

describe("the operator's SQL", { timeout: 300_000 }, () => {
  for (const mode of ["all", "each"] as const) {
    it(`runs under the settings of the database in a migration (--mode=${mode})`, async () => {
      const world = await createMigrateWorld();
      for (const island of world.islands) await setDefaults(island);
      await world.startWorker();
      const sql = `CREATE TABLE day (at date, seen text[]);
        INSERT INTO day VALUES ('03/04/2024', ARRAY(${SET_BY_US}))`;
      await resultOf(await world.start(`settings_${mode}`, sql, { mode }));
      const [row] = await world.islands[0]!.rows<{ at: string; seen: string[] }>(
        `SELECT to_char(at, 'YYYY-MM-DD') AS at, seen FROM ${schemaOf(shardsOf(0)[0]!)}.day`,
      );
      assert.equal(row!.at, "2024-04-03");
      expectAllowed(row!.seen, [...ALLOWED, "search_path"]);
    });
  }

  it("runs under the settings of the database after a switch (--deactivate-sql)", async () => {
    const world = await createWorld();
    const { a } = world;
    await createShard(a, 42, "CREATE TABLE sh0042.t (id int PRIMARY KEY)");
    await a.rows("CREATE TABLE public.seen (name text)");
    await setDefaults(a);
    await world.startWorker();
    await resultOf(
      await world.startMove({ deactivateSql: `INSERT INTO public.seen ${SET_BY_US} AND $1 <> ''` }),
    );
    const seen = await a.rows<{ name: string }>("SELECT name FROM public.seen");
    expectAllowed(
      seen.map(({ name }) => name),
      [...ALLOWED, "search_path"],
    );
  });

  it("runs under the settings of the database when it weighs shards (--weight-sql, and likewise --size-sql)", async () => {
    const world = await createWorld();
    const { a } = world;
    await createShard(a, 42, "CREATE TABLE sh0042.t (id int PRIMARY KEY)");
    await setDefaults(a);
    const weightSql = `SELECT 1, string_agg(name, ',') AS seen, date '03/04/2024' AS day FROM (${SET_BY_US}) s`;
    const settings = await loadSettings({ action: "list", env: { DSNS: a.dsn }, skipConfig: true });
    const { islands } = await withIslands(settings.dsns, (found) => readLayout(found, { weightSql }));
    const { other } = islands[0]!.shards[0]!;
    expectAllowed(other["seen"]!.split(","), ALLOWED_LOOKING);
    assert.equal(other["day"], "03/04/2024");
  });
});

import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import { resultOf } from "../support/world.ts";
import { createMigrateWorld, type MigrateWorld, schemaOf } from "./world.ts";

/** As PostgREST and Supabase have it. */
const WATCH = `
  CREATE FUNCTION ddl_watch() RETURNS event_trigger LANGUAGE plpgsql AS
    $$ BEGIN NOTIFY pgrst, 'reload schema'; END $$;
  CREATE EVENT TRIGGER "pgrst ddl" ON ddl_command_end EXECUTE FUNCTION ddl_watch();`;

describe("a migration where triggers notify", { timeout: 300_000 }, () => {
  let world: MigrateWorld;
  before(async () => {
    world = await createMigrateWorld();
    await world.startWorker();
  });

  it("names the event trigger and the ways out, changes nothing, and works with --mode=each or without the trigger", async () => {
    const [a] = world.islands;
    await a!.rows(WATCH);
    const sql = "ALTER TABLE ledger ADD COLUMN told int";
    const error = await resultOf(await world.start("told", sql)).then(String, String);
    assert.match(error, new RegExp(`${a!.name}: cannot PREPARE .*NOTIFY \\(SQLSTATE 0A000\\)`));
    assert.match(error, /from the event trigger "pgrst ddl"/);
    assert.match(error, /--mode=each.*ALTER EVENT TRIGGER "pgrst ddl" DISABLE/);
    assert.match(error, /Everything was rolled back/);
    assert.equal(await world.expectAllOrNone("told", "told"), "none");

    await resultOf(await world.start("told-each", sql, { mode: "each" }));
    assert.equal(await world.expectAllOrNone("told", "told-each"), "all");
    await a!.rows('ALTER EVENT TRIGGER "pgrst ddl" DISABLE');
    await resultOf(await world.start("untold", "ALTER TABLE ledger ADD COLUMN untold int"));
    await a!.rows('DROP EVENT TRIGGER "pgrst ddl"');
  });

  it("names a trigger of a table that it fires", async () => {
    const [, b] = world.islands;
    const shard = schemaOf(9);
    await b!.rows(`
      CREATE FUNCTION ${shard}.tell() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_notify('rows', 'secret'); RETURN NEW; END $$;
      CREATE TRIGGER telling BEFORE UPDATE ON ${shard}.ledger FOR EACH ROW EXECUTE FUNCTION ${shard}.tell();
      INSERT INTO ${shard}.ledger (op) VALUES ('x')`);
    const error = await resultOf(await world.start("row", "UPDATE ledger SET op = op")).then(String, String);
    assert.match(error, /from the trigger "telling" on "sh0009"\."ledger"/);
    assert.doesNotMatch(error, /event trigger/);
    assert.match(error, /disable the triggers in the migration/);
  });
});

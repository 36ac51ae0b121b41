import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import type { VerifyResult } from "../../contract/verify.ts";
import { createIslands, type Islands, run, runJson, schemas } from "./run-command.ts";

describe("verify", { timeout: 240_000 }, () => {
  let islands: Islands;
  before(async () => {
    islands = await createIslands([1, 2]);
    await islands.a.rows(
      `CREATE TABLE sh0001.people (id int PRIMARY KEY, name text); CREATE INDEX ON sh0001.people (name);
       INSERT INTO sh0001.people SELECT i, 'name ' || i FROM generate_series(1, 1000) i`,
    );
  });

  it("finds that a rehearsal is the same, and then in what it differs from its shard", async () => {
    const none = await run(["verify", "--shard=1"], islands);
    assert.equal(none.status, 2, none.stderr);
    assert.match(none.stderr, /none fits\. The copies of sh0001 are: none/);

    await runJson(["move", "--shard=1", `--to=${islands.names.b}`, "--activate-on-destination=no"], islands);
    const [copy] = (await schemas(islands.b)).filter((name) => name.startsWith("sh0001new_"));
    const same = await runJson<VerifyResult>(["verify", "--shard=1"], islands);
    assert.deepEqual(
      {
        same: same.same,
        toSchema: same.toSchema,
        from: same.from,
        to: same.to,
        differences: same.differences,
      },
      { same: true, toSchema: copy, from: islands.names.a, to: islands.names.b, differences: [] },
    );
    assert.ok(same.rows >= 1000);

    await islands.b.rows(
      `UPDATE ${copy}.people SET name = 'NAME 7' WHERE id = 7; DELETE FROM ${copy}.people WHERE id = 1000`,
    );
    const differs = await run(
      [
        "verify",
        "--schema=sh0001",
        `--from=${islands.names.a}`,
        `--to=${islands.names.b}`,
        `--to-schema=${copy}`,
      ],
      islands,
    );
    assert.equal(differs.status, 1, differs.stderr);
    assert.match(differs.stdout, /2 rows differ:/);
    assert.match(
      differs.stdout,
      /"people", id = 7: name is 'name 7' on the source and 'NAME 7' on the destination/,
    );
    assert.match(differs.stdout, /"people", id = 1000: missing on the destination/);
    const missing = await run(
      ["verify", "--schema=nothing", `--from=${islands.names.a}`, `--to=${islands.names.b}`],
      islands,
    );
    assert.deepEqual([missing.status, /There is no schema "nothing"/.test(missing.stderr)], [2, true]);
  });

  it("a move whose copy differs ends with the code `differs`, and is undone by abort", async () => {
    // Somebody else's write on the destination, between the copy and the comparison.
    await islands.b.rows(
      `CREATE FUNCTION public.rogue() RETURNS event_trigger LANGUAGE plpgsql AS
         $$ BEGIN INSERT INTO sh0001.people VALUES (-1, 'rogue') ON CONFLICT DO NOTHING; END $$;
       CREATE EVENT TRIGGER rogue ON ddl_command_end WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION public.rogue()`,
    );
    const move = await run(
      ["move", "--shard=1", `--to=${islands.names.b}`, "--activate-on-destination=yes", "--json"],
      islands,
    );
    await islands.b.rows("DROP EVENT TRIGGER rogue");
    assert.equal(move.status, 1, move.stderr);
    const { error } = JSON.parse(move.stdout) as { error: { code: string; message: string } };
    assert.equal(error.code, "differs");
    assert.match(error.message, /"people", id = -1: on the destination only/);
    assert.match(error.message, /`shardferry abort move-sh0001` undoes the move/);
    const again = await run(["confirm", "move-sh0001"], islands);
    assert.equal(again.status, 1);
    assert.match(again.stderr, /"people", id = -1: on the destination only/);
    const abort = await run(["abort", "move-sh0001"], islands);
    assert.equal(abort.status, 0, abort.stderr);
    assert.deepEqual(
      (await schemas(islands.b)).filter((name) => name === "sh0001"),
      [],
    );
  });
});

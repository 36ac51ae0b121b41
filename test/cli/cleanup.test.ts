import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { before, describe, it } from "node:test";

import type { Leftover } from "../../src/cleanup/leftover.ts";
import {
  createIslands,
  type Islands,
  run,
  runJson,
  schemas,
  start,
  startInTerminal,
  stateFolder,
} from "./run-command.ts";

interface CleanupDocument {
  leftovers: Leftover[];
  dropped: Leftover[];
  failed: { island: string; name: string; reason: string }[];
}

const OLD = "sh0001old20240131120000";

describe("cleanup", { timeout: 180_000 }, () => {
  let islands: Islands;
  before(async () => {
    islands = await createIslands([1, 2]);
  });

  /** Leaves an old copy on the second island. */
  const leave = (name = OLD, tables = 1): Promise<unknown> =>
    islands.b.rows(
      `CREATE SCHEMA ${name}; DO $$ BEGIN
         FOR i IN 1..${tables} LOOP EXECUTE format('CREATE TABLE ${name}.t%s (id serial PRIMARY KEY)', i); END LOOP;
       END $$`,
    );

  it("says so if there is nothing to drop, and does not ask Temporal", async () => {
    const { status, stdout } = await run(["cleanup"], islands);
    assert.deepEqual([status, stdout], [0, "There is nothing to drop.\n"]);
    await leave();
    assert.equal((await runJson<CleanupDocument>(["cleanup"], islands)).leftovers.length, 1);
    assert.equal(existsSync(join(stateFolder, "temporal.db")), false);
  });

  it("lists leftovers, and drops nothing unless told to", async () => {
    const unasked = await run(["cleanup"], islands);
    assert.equal(unasked.status, 2);
    assert.match(
      unasked.stdout,
      new RegExp(`${islands.names.b} +old copy +${OLD} +\\d+\\.?\\d* KiB +\\d+ d`),
    );
    assert.match(unasked.stderr, /Nothing was dropped.*--yes/);
    for (const answer of ["n\n", "\n"]) {
      const command = start(["cleanup"], islands);
      command.child.stdin!.end(answer);
      const { status, stdout } = await command.ended();
      assert.equal(status, 0);
      assert.match(stdout, /Drop 1 leftover\? This frees \d+\.?\d* KiB, .*Nothing was dropped/s);
    }
    const { leftovers, dropped } = await runJson<CleanupDocument>(["cleanup"], islands);
    assert.deepEqual([leftovers.map(({ name }) => name), dropped], [[OLD], []]);
    const young = await runJson<CleanupDocument>(["cleanup", "--older-than=5000w", "--yes"], islands);
    assert.deepEqual([young.dropped, young.leftovers[0]!.kept], [[], "it is younger than --older-than"]);
    assert.deepEqual(await schemas(islands.b), [OLD]);
    const wrong = await run(["cleanup", "--older-than=week"], islands);
    assert.deepEqual([wrong.status, /--older-than: "week" is not a time/.test(wrong.stderr)], [2, true]);
  });

  it("drops leftovers if the answer is yes, in a terminal or from a pipe", async () => {
    const command = startInTerminal(["cleanup"], islands);
    await command.prints(/Drop 1 leftover\?/);
    command.press("y\r");
    const { status, stdout } = await command.ended();
    assert.equal(status, 0, stdout);
    assert.match(stdout, new RegExp(`dropped old copy ${OLD}.*Dropped 1 leftover, \\d+\\.?\\d* KiB\\.`, "s"));
    await leave();
    const piped = start(["cleanup"], islands);
    piped.child.stdin!.end("yes");
    assert.equal((await piped.ended()).status, 0);
    assert.deepEqual(await schemas(islands.b), []);
  });

  it("ends with status 1 if something could not be dropped, and names what prevented it", async () => {
    await leave();
    await leave("sh0002new");
    await islands.b.rows(`CREATE VIEW report AS SELECT * FROM ${OLD}.t1`);
    const { status, stdout } = await run(["cleanup", "--yes"], islands);
    assert.equal(status, 1);
    assert.match(stdout, /Dropped 1 leftover.*Not dropped:.*view public\.report/s);
    await islands.b.rows("DROP VIEW report");
    const { dropped, failed } = await runJson<CleanupDocument>(["cleanup", "--yes"], islands);
    assert.deepEqual([dropped.map(({ name }) => name), failed], [[OLD], []]);
  });

  it("continues where it was when it was killed", async () => {
    await leave(OLD, 600);
    const command = start(["cleanup", "--yes"], islands);
    await islands.b.withClient(async (reader) => {
      // One of the last ones, so that the command cannot have ended before it is killed.
      await reader.query(`BEGIN; SELECT FROM ${OLD}.t99`);
      await command.prints(/ left/);
      command.signal("SIGKILL");
      await command.ended();
    });
    assert.deepEqual(await schemas(islands.b), [OLD]);
    assert.equal((await run(["cleanup", "--yes"], islands)).status, 0);
    assert.deepEqual(await schemas(islands.b), []);
  });

  it("drops the old copy of a move and the copy of a rehearsal", async () => {
    const move = ["move", `--to=${islands.names.b}`];
    await run([...move, "--shard=1", "--activate-on-destination=no"], islands);
    const { stdout } = await run([...move, "--shard=2", "--activate-on-destination=yes"], islands);
    assert.match(stdout, /The old copy is sh0002old_\d{14} on .*`shardferry cleanup` drops it/);
    const { dropped, leftovers } = await runJson<CleanupDocument>(["cleanup", "--yes"], islands);
    assert.deepEqual(
      leftovers.map(({ kind, schema, workflowId }) => [kind, schema, workflowId]),
      [
        ["old copy", "sh0002", "move-sh0002"],
        ["rehearsal", "sh0001", "move-sh0001"],
      ],
    );
    assert.equal(dropped.length, 2);
    assert.deepEqual([await schemas(islands.a), await schemas(islands.b)], [["sh0001"], ["sh0002"]]);
  });
});

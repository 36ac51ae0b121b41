import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import type { MoveResult } from "../../contract/move.ts";
import type { WayBackResult } from "../../contract/way-back.ts";
import { createIslands, type Islands, run, runJson, schemas } from "./run-command.ts";

/** Each command in a process of its own, which does the work of the way back as long as it runs. */
describe("rollback and finish", { timeout: 300_000 }, () => {
  let islands: Islands;
  before(async () => {
    islands = await createIslands([1, 2]);
    await islands.a.rows(
      `CREATE TABLE sh0001.people (id int PRIMARY KEY, name text);
       INSERT INTO sh0001.people SELECT i, 'name ' || i FROM generate_series(1, 1000) i`,
    );
  });

  const move = (...options: string[]): string[] => [
    "move",
    "--shard=1",
    `--to=${islands.names.b}`,
    "--activate-on-destination=yes",
    ...options,
  ];

  it("say that there is no way back where there is none", async () => {
    for (const action of ["rollback", "finish"]) {
      const { status, stderr } = await run([action, "--shard=1"], islands);
      assert.equal(status, 1, stderr);
      assert.match(stderr, /Shard 1 has no open way back/);
    }
    const { status, stderr } = await run(move("--reversible=soon"), islands);
    assert.equal(status, 2);
    assert.match(stderr, /--reversible: "soon" is not a time such as 90s, 30m, 12h or 7d/);
  });

  it("bring a shard back with what was written since", async () => {
    const moved = await run(move("--reversible=1h"), islands);
    assert.equal(moved.status, 0, moved.stderr);
    assert.match(moved.stdout, /The way back to .* is open until .*worker/);
    await islands.b.rows("UPDATE sh0001.people SET name = 'written later' WHERE id = 7");

    const { status, stdout } = await run(["status"], islands);
    assert.equal(status, 0);
    assert.match(stdout, /way-back-sh0001/);
    const change = ["migrate", "--sql=SELECT 1", "--name=nothing", "--yes"];
    const refused = await run(change, islands);
    assert.equal(refused.status, 1, refused.stderr);
    assert.match(refused.stderr, /open way way-back-sh0001 back: .* --finish-ways-back/);

    const back = await runJson<MoveResult>(["rollback", "--shard=1"], islands);
    assert.equal(back.to, islands.names.a);
    assert.equal(back.wayBack?.workflowId, "way-back-again-sh0001");
    assert.deepEqual(await islands.a.rows("SELECT name FROM sh0001.people WHERE id = 7"), [
      { name: "written later" },
    ]);
    const changed = await run([...change, "--finish-ways-back"], islands);
    assert.equal(changed.status, 0, changed.stderr);
    const none = await run(["finish", "--shard=1"], islands);
    assert.match(none.stderr, /has no open way back/);
    assert.equal((await schemas(islands.b)).filter((name) => name.startsWith("sh0001old_")).length, 1);
  });

  it("close a way, and the history tells all of it", async () => {
    await runJson(move("--reversible"), islands);
    const closed = await runJson<WayBackResult>(["finish", "--shard=1"], islands);
    assert.equal(closed.end, "finished");
    assert.ok((await schemas(islands.a)).includes(closed.leftover!));
    const { stdout } = await run(["history", "--shard=1"], islands);
    for (const kind of ["move", "rollback", "way back"]) assert.match(stdout, new RegExp(kind));
  });
});

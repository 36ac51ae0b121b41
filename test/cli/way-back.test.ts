import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import type { MoveResult } from "../../contract/move.ts";
import type { VerifyResult } from "../../contract/verify.ts";
import type { WayBackResult } from "../../contract/way-back.ts";
import type { IslandLayout } from "../../src/layout/read.ts";
import type { OldCopy, OpenWayBack } from "../../src/layout/ways-back.ts";
import { startPostgres } from "../../src/sandbox/index.ts";
import { createDatabase, expectNoLeftovers, listLeftovers, testIslands, waitFor } from "../support/index.ts";
import {
  activeShards,
  createIslands,
  createShard,
  type Islands,
  run,
  runJson,
  type RunOptions,
  schemas,
  start,
} from "./run-command.ts";

/** What `list` says of a shard: its way back, and old copies anywhere. */
async function listed(
  wanted: string,
  options: RunOptions,
): Promise<{ way: OpenWayBack | null; copies: OldCopy[] }> {
  const { islands } = await runJson<{ islands: IslandLayout[] }>(["list"], options);
  const shard = islands.flatMap(({ shards }) => shards).find(({ schema }) => schema === wanted);
  return { way: shard!.wayBack!, copies: islands.flatMap(({ oldCopies }) => oldCopies!) };
}

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
    const { way, copies } = await listed("sh0001", islands);
    assert.deepEqual(
      { ...way, walKeptBytes: 0, lagBytes: 0 },
      {
        workflowId: "way-back-sh0001",
        to: islands.names.a,
        expiresAt: null,
        walKeptBytes: 0,
        lagBytes: 0,
      },
    );
    assert.deepEqual(copies, []);
    const early = await run(["verify", "--shard=1"], islands);
    assert.equal(early.status, 1, early.stdout);
    assert.match(early.stderr, /The way back of sh0001 to .* is not open yet/);
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

describe("an open way back", { timeout: 300_000 }, () => {
  it("is shown by list and status, compared by verify, and given up by force if its old place is gone", async () => {
    const gone = await startPostgres({ name: "gone", version: 17 });
    const { b: server } = await testIslands();
    const [a, b] = await Promise.all([createDatabase(gone), createDatabase(server)]);
    const options = { env: { DSNS: `${a.dsn},${b.dsn}` } };
    await run(["install"], options);
    for (const shard of [1, 2]) await createShard(a, shard);
    // Opens a way back for each of its moves.
    const { moves } = await runJson<{ moves: MoveResult[] }>(["rebalance", "--reversible", "--yes"], options);
    const [{ schema, from: to, to: from }] = moves as [MoveResult];
    const [workflowId, shard] = [`way-back-${schema}`, `--shard=${Number(schema.slice(2))}`];
    const worker = start(["attach", workflowId], options);
    const open = async (): Promise<boolean> =>
      (await listed(schema, options)).copies.some((copy) => copy.open);
    await waitFor(open, { what: "the old copy to be in step", every: 500 });

    const { way, copies } = await listed(schema, options);
    const expiresAt = way!.expiresAt!;
    assert.ok(Date.parse(expiresAt) > Date.now() + 23 * 3_600_000, expiresAt);
    assert.equal(way!.to, to);
    const no = Number(schema.slice(2));
    assert.deepEqual(copies, [{ no, schema, from, workflowId, expiresAt, open: true }]);
    const { stdout: text } = await run(["list"], options);
    assert.match(text, new RegExp(`^ +${schema}\\* `, "m"));
    assert.match(text, /\* sh000. +can go back to .* UTC \(23 h left\): .* of WAL kept for it, .* behind/);
    assert.match(text, /- sh000. +not active: the old copy, kept in step for the way back from/);

    const watched = async (): Promise<Record<string, unknown> | undefined> => {
      const rows = await runJson<Record<string, unknown>[]>(["status"], options);
      return rows.find(({ lagBytes, walKeptBytes }) => lagBytes !== null && walKeptBytes !== null);
    };
    const row = await waitFor(watched, { what: "status to have the numbers of the way back", every: 500 });
    assert.deepEqual([row["workflowId"], row["expiresAt"]], [workflowId, expiresAt]);
    assert.ok(Number(row["secondsLeft"]) > 23 * 3600, String(row["secondsLeft"]));
    assert.match((await run(["status"], options)).stdout, /23 h 5\d min left/);

    // There may be older copies.
    await b.rows(`CREATE SCHEMA ${schema}old_20240131120000`);
    const same = await runJson<VerifyResult>(["verify", shard], options);
    assert.deepEqual([same.same, same.to, same.toSchema, same.rows], [true, to, schema, 1000]);

    await gone.stop("immediate");
    const patient = start(["finish", shard], options);
    await waitFor(async () => (await listLeftovers(b)).length === 0, { what: "this side to be freed" });
    const { stdout: told } = await run(["status"], options);
    assert.match(told, /gone for good is given up by `shardferry finish --shard=\d --force`/);
    const forced = await run(["finish", shard, "--force"], options);
    assert.equal(forced.status, 0, forced.stderr);
    assert.match(forced.stdout, /is closed by force: it was told to .* was NOT cleaned .*: subscription/);
    for (const command of [patient, worker]) assert.equal((await command.ended()).status, 0);
    assert.deepEqual(await activeShards(b), [schema]);

    await gone.start();
    const cleaned = await run(["cleanup", "--yes"], options);
    assert.equal(cleaned.status, 0, cleaned.stderr);
    assert.ok(!(await schemas(a)).some((name) => name.startsWith(schema)), cleaned.stdout);
    assert.deepEqual(await listed(schema, options), { way: null, copies: [] });
    await expectNoLeftovers(a, b);
  });
});

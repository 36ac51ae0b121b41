import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import type { Diagnosis } from "../../src/operations/doctor.ts";
import type { AssignedSequence } from "../../src/operations/sequences.ts";
import { waitFor } from "../support/index.ts";
import { createIslands, createShard, type Islands, run, runJson } from "./run-command.ts";

const TABLES = `
  CREATE TABLE %s.users (id bigserial PRIMARY KEY, name text);
  CREATE TABLE %s.team (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text);`;

describe("sequences", () => {
  let islands: Islands;
  before(async () => {
    // 1,000 users each, with the same ids.
    islands = await createIslands([1, 2]);
    await createShard(islands.b, 3);
    await islands.a.rows("SELECT nextval('sh0002.users_id_seq') FROM generate_series(1, 500)");
  });

  it("of shards that hand out the same values are reported by doctor, with an id that already collides", async () => {
    const { findings } = await runJson<Diagnosis>(["doctor"], islands);
    const text = findings.map(({ severity, text: what }) => `${severity} ${what}`).join("\n");
    assert.match(
      text,
      /warning the sequence users_id_seq can produce the same values in sh0001, sh0002, sh0003; ids collide already: users.id = 1 is in sh0001 and sh0002/,
    );
    assert.equal((await run(["doctor"], islands)).status, 0);
  });

  it("get values of their own beyond all ids, while the application keeps writing", async () => {
    let running = true;
    const failures: string[] = [];
    const ids: string[] = [];
    const writer = islands.a
      .withClient(async (client) => {
        while (running) {
          const { rows } = await client.query<{ id: string }>(
            "INSERT INTO sh0001.users (name) VALUES ('x') RETURNING id",
          );
          ids.push(rows[0]!.id);
        }
      })
      .catch((error: Error) => failures.push(error.message));
    const { sequences } = await runJson<{ sequences: AssignedSequence[] }>(
      ["sequences", "assign", "--mode=interleave"],
      islands,
    );
    const before = ids.length;
    while (ids.length < before + 20 && failures.length === 0)
      await new Promise((resolve) => setImmediate(resolve));
    running = false;
    await writer;
    assert.deepEqual(failures, []);
    assert.equal(new Set(ids).size, ids.length);
    assert.deepEqual(
      sequences.map(({ no, changed }) => [no, changed]),
      [
        [1, true],
        [2, true],
        [3, true],
      ],
    );
    for (const { no, next } of sequences) {
      assert.equal(Number(next) % 10_000, no);
      assert.ok(Number(next) > 1500, "others have used values up to 1,500");
    }
    assert.ok(ids.slice(-20).every((id) => Number(id) % 10_000 === 1));
    const { findings } = await runJson<Diagnosis>(["doctor"], islands);
    const told = findings.map(({ text }) => text).join("\n");
    assert.doesNotMatch(told, /users_id_seq/);
    assert.match(told, /ids collide: users.id = 1 is in sh0001 and sh0002. New ids no longer do/);
  });

  it("continue from where they were set to start, and collisions are found beyond empty shards", async () => {
    const { a, b } = await createIslands();
    for (const [shard, island] of [
      [1, a],
      [2, a],
      [3, b],
    ] as const) {
      await createShard(island, shard);
      await island.rows(
        `CREATE SEQUENCE sh000${shard}.ticket; CREATE TABLE sh000${shard}.note (id bigserial PRIMARY KEY)`,
      );
    }
    await a.rows("ALTER SEQUENCE sh0001.ticket RESTART WITH 50000; INSERT INTO sh0001.note VALUES (7), (8)");
    await b.rows("SELECT setval('sh0003.ticket', 90000, false); INSERT INTO sh0003.note VALUES (8)");
    const env = { DSNS: `${a.dsn},${b.dsn}` };
    const told = async (): Promise<string> =>
      (await runJson<Diagnosis>(["doctor"], { env })).findings.map(({ text }) => text).join("\n");
    assert.match(await told(), /ids collide already: note.id = 8 is in sh0001 and sh0003/);
    const { sequences } = await runJson<{ sequences: AssignedSequence[] }>(
      ["sequences", "assign", "--mode=interleave"],
      { env },
    );
    for (const { sequence, next } of sequences)
      if (sequence === "ticket") assert.ok(Number(next) >= 90_000, String(next));
    assert.match(await told(), /ids collide: note.id = 8 is in sh0001 and sh0003/);
  });

  it("that have values of their own are not changed by the next run", async () => {
    const { sequences } = await runJson<{ sequences: AssignedSequence[] }>(
      ["sequences", "assign", "--mode=interleave", "--shards=1-2"],
      islands,
    );
    assert.deepEqual(
      sequences.map(({ no, changed }) => [no, changed]),
      [
        [1, false],
        [2, false],
      ],
    );
    assert.equal((await run(["drift"], islands)).status, 0, "and differ from shard to shard on purpose");
  });

  it("are waited for while a transaction that has drawn from them is open, and end beyond its ids", async () => {
    await createShard(islands.a, 4);
    await islands.a.withClient(async (client) => {
      await client.query(
        "BEGIN; INSERT INTO sh0004.users SELECT nextval('sh0004.users_id_seq') + 7000000, 'x'",
      );
      const assigned = runJson<{ sequences: AssignedSequence[] }>(
        ["sequences", "assign", "--mode=interleave", "--shards=4"],
        islands,
      );
      const waits = (): Promise<object[]> =>
        islands.a.rows(
          "SELECT FROM pg_locks WHERE NOT granted AND relation = 'sh0004.users_id_seq'::regclass",
        );
      await waitFor(async () => (await waits()).length > 0, {
        what: "the assignment to wait for the writer",
      });
      await client.query("COMMIT");
      const { sequences } = await assigned;
      assert.ok(Number(sequences[0]!.next) > 7_000_000, String(sequences[0]!.next));
      assert.equal(Number(sequences[0]!.next) % 10_000, 4);
    });
  });

  it("of new shards are set by allocate before these are active, and travel with a move", async () => {
    const command = `for s in sh0041 sh0042; do psql -q "$TARGET" -c "${TABLES.replaceAll("%s", "$s").replaceAll("\n", " ")}"; done`;
    const { a, b } = await createIslands();
    const env = { DSNS: `${a.dsn},${b.dsn}`, TARGET: a.dsn, PATH: `${a.server.bin}:${process.env["PATH"]}` };
    const args = [
      "allocate",
      "--shards=41-42",
      `--migrate-cmd=${command}`,
      "--activate=yes",
      "--sequences=interleave",
    ];
    const done = await runJson<{ sequences: AssignedSequence[]; activated: string[] }>(args, { env });
    assert.deepEqual(done.activated, ["sh0041", "sh0042"]);
    assert.deepEqual(
      done.sequences.map(({ schema, sequence, next }) => [schema, sequence, next]),
      [
        ["sh0041", "team_id_seq", "41"],
        ["sh0041", "users_id_seq", "41"],
        ["sh0042", "team_id_seq", "42"],
        ["sh0042", "users_id_seq", "42"],
      ],
    );
    await a.rows("INSERT INTO sh0042.users (name) SELECT 'n' FROM generate_series(1, 3)");
    const moved = await run(
      ["move", "--shard=42", `--to=${b.server.host}:${b.server.port}`, "--activate-on-destination=yes"],
      { env },
    );
    assert.equal(moved.status, 0, moved.stderr);
    await b.rows("INSERT INTO sh0042.users (name) VALUES ('n')");
    await b.rows("INSERT INTO sh0042.team (name) VALUES ('n')");
    assert.deepEqual(
      (await b.rows<{ id: string }>("SELECT id FROM sh0042.users ORDER BY id")).map(({ id }) => id),
      ["42", "10042", "20042", "30042"],
    );
    assert.deepEqual(await b.rows("SELECT id FROM sh0042.team"), [{ id: 42 }]);
    assert.equal((await run(["drift"], { env })).status, 0);
  });

  it("in ranges start where the shard's range does; one without room is refused before anything is changed", async () => {
    const ranged = await createIslands([5]);
    await ranged.a.rows("CREATE TABLE sh0005.small (id smallserial)");
    const args = ["sequences", "assign", "--mode=range"];
    const refused = await run(args, ranged);
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /sh0005.small_id_seq: a smallint has too few values/);
    await ranged.a.rows(
      "DROP TABLE sh0005.small; CREATE TABLE sh0005.narrow (id integer DEFAULT nextval('sh0005.users_id_seq'))",
    );
    const { sequences } = await runJson<{ sequences: AssignedSequence[] }>(args, ranged);
    assert.deepEqual(
      sequences.map(({ next }) => next),
      ["1000001"],
      "of the narrowest column that it feeds",
    );
    assert.equal((await run(["sequences", "assign"], ranged)).status, 2);
    assert.match((await run(["sequences", "assing", "--mode=range"], ranged)).stderr, /assign/);
    assert.match(
      (await run([...args, "--shards=9"], ranged)).stderr,
      /No active shard 9 .*The active shards are: 5/,
    );
  });
});

import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { hostname, userInfo } from "node:os";
import { join } from "node:path";
import { before, describe, it } from "node:test";

import type { HistoryEntry } from "../../src/operations/history.ts";
import { createDatabase, testIslands } from "../support/index.ts";
import { createIslands, type Islands, run, runJson, stateFolder } from "./run-command.ts";

type Entry = Omit<HistoryEntry, "startedAt" | "endedAt"> & {
  startedAt: string;
  endedAt: string;
  durationMs: number;
};

interface Document {
  entries: Entry[];
  unreachable: { island: string; reason: string }[];
  withoutHistory: string[];
}

const ME = `${userInfo().username}@${hostname()}`;
/** A port on which nobody listens. */
const AWAY = "postgresql://postgres:secret@127.0.0.1:1/app";

describe("history", { timeout: 300_000 }, () => {
  let islands: Islands;
  let all: Entry[];
  const ask = (...args: string[]): Promise<Document> => runJson<Document>(["history", ...args], islands);

  before(async () => {
    islands = await createIslands([1, 2]);
    const to = `--to=${islands.names.b}`;
    for (const args of [
      ["move", "--shard=1", to, "--activate-on-destination=yes"],
      ["migrate", "--name=all", "--sql=ALTER TABLE users ADD a int", "--yes"],
      [
        "migrate",
        "--name=each",
        "--mode=each",
        "--sql=CREATE INDEX CONCURRENTLY later ON users (a)",
        "--yes",
      ],
      ["migrate", "--name=wrong", "--shards=2", "--sql=ALTER TABLE users ADD CHECK (id > 500)", "--yes"],
    ])
      await run(args, islands);
    await islands.b.rows("DELETE FROM sh0001.users WHERE id = 7");
    await run(["verify", "--schema=sh0002", `--from=${islands.names.a}`, to, "--to-schema=sh0001"], islands);
    all = (await ask()).entries;
  });

  it("tells of every operation once: what, who, where, how much, and how it ended", () => {
    assert.deepEqual(
      all.map(({ kind, name, outcome, reason }) => [kind, name, outcome, reason?.code ?? null]),
      [
        ["move", "sh0001", "moved", null],
        ["migration", "all", "changed", null],
        ["migration", "each", "changed", null],
        ["migration", "wrong", "failed", "migration_failed"],
        ["verification", "sh0002 and sh0001", "differs", "differs"],
      ],
    );
    const [move, everywhere, , wrong] = all;
    const { from, to, rows, verified, writeBlocked, workflowId, startedBy, recordedBy } = move!;
    assert.deepEqual(
      { from, to, rows, workflowId, startedBy, tables: verified?.tables, attempts: writeBlocked?.attempts },
      {
        from: islands.names.a,
        to: islands.names.b,
        rows: 1000,
        workflowId: "move-sh0001",
        startedBy: ME,
        tables: 1,
        attempts: 1,
      },
    );
    assert.ok(move!.sizeBytes! > 0 && move!.copiedBytes! > 0 && writeBlocked!.longestMs > 0);
    assert.deepEqual(recordedBy, [
      { island: islands.names.a, role: islands.a.server.user },
      { island: islands.names.b, role: islands.b.server.user },
    ]);
    assert.deepEqual([...everywhere!.schemas].sort(), ["sh0001", "sh0002"]);
    assert.match(wrong!.reason!.text, /sh0002: check constraint .* is violated by some row/);
    for (const { startedAt, endedAt, durationMs } of all)
      assert.equal(Date.parse(endedAt) - Date.parse(startedAt), durationMs);
  });

  it("shows those of one shard, and the latest", async () => {
    const names = async (...args: string[]): Promise<string[]> =>
      (await ask(...args)).entries.map(({ name }) => name);
    assert.deepEqual(await names("--shard=1"), ["sh0001", "all", "each"]);
    assert.deepEqual(await names("--limit=2"), ["wrong", "sh0002 and sh0001"]);
    const { stdout, status } = await run(["history"], islands);
    assert.equal(status, 0);
    assert.match(stdout, /^What +When +Took/);
    assert.match(stdout, /move sh0001 .* moved/);
    assert.match(stdout, /migration wrong .* failed: migration_failed/);
  });

  it("names an island that does not answer, or has no history, beside what the others tell", async () => {
    const bare = await createDatabase((await testIslands()).a);
    const env = { DSNS: `${islands.b.dsn},${AWAY},${bare.dsn}` };
    const { status, stdout } = await run(["history", "--json"], { env });
    assert.equal(status, 1);
    const found = JSON.parse(stdout) as Document;
    assert.deepEqual(
      found.entries.map(({ name }) => name),
      ["sh0001", "all", "each", "sh0002 and sh0001"],
    );
    assert.deepEqual(
      found.unreachable.map(({ island }) => island),
      ["127.0.0.1:1/app"],
    );
    assert.match(found.withoutHistory.join(), new RegExp(`${bare.name}$`));
    const text = await run(["history"], { env });
    assert.match(text.stdout, /127\.0\.0\.1:1\/app does not answer: connection refused/);
    assert.match(text.stdout, /has no history: run `shardferry install`/);
    const nobody = await run(["history"], { env: { DSNS: AWAY } });
    assert.deepEqual([nobody.status, /Cannot reach 127\.0\.0\.1:1\/app/.test(nobody.stderr)], [1, true]);
  });

  it("is the same when Temporal has forgotten everything", async () => {
    await run(["down"], islands);
    rmSync(join(stateFolder, "temporal.db"));
    assert.deepEqual((await ask()).entries, all);
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { type Progress } from "../../contract/story.ts";
import { outcomeOfError } from "../../src/watch/outcome.ts";
import { progressQuery } from "../../workflows/signals.ts";
import { type TestDatabase, testIslands, waitFor } from "../support/index.ts";
import { behind, Proxy } from "../support/proxy.ts";
import {
  activePlaces,
  createShard,
  createWorld,
  untilPaused,
  walKeptOf,
  type World,
} from "../support/world.ts";
import { contentBefore, expectSound, expectUntouched, loadedShard } from "./shard.ts";

const MIB = 1 << 20;

/** As if the destination were away: nothing that is written from now on is received. */
async function stopReceiving({ b }: World): Promise<void> {
  const [subscription] = await b.rows<{ name: string }>(
    "SELECT quote_ident(subname) AS name FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())",
  );
  await b.rows(`ALTER SUBSCRIPTION ${subscription!.name} DISABLE`);
}

const writeWal = (database: TestDatabase, mib: number): Promise<unknown> =>
  database.rows(
    `SELECT pg_logical_emit_message(false, 'test', repeat('x', ${MIB})) FROM generate_series(1, ${mib})`,
  );

describe("the WAL that a source keeps for a move", { timeout: 300_000 }, () => {
  it("is told while the move is paused, and undoes it once it is more than --max-wal", async () => {
    const world = await createWorld();
    const ledger = await loadedShard(world);
    const before = await contentBefore(world);
    await world.startWorker();
    const handle = await world.startMove({ wait: true, maxWalBytes: 96 * MIB });
    await untilPaused(handle);
    await stopReceiving(world);
    await writeWal(world.a, 32);
    const told = await waitFor(
      async () => {
        const bytes = (await walKeptOf(handle)) ?? 0;
        return bytes > 32 * MIB ? bytes : null;
      },
      { what: "the WAL to be told" },
    );
    assert.ok(told < 96 * MIB, String(told));
    await writeWal(world.a, 80);
    const error: unknown = await handle.result().catch((thrown: unknown) => thrown);
    const outcome = outcomeOfError(error);
    assert.equal(outcome.kind === "failed" && outcome.code, "wal_limit");
    const { from, to } = world.input();
    assert.match(
      outcome.kind === "failed" ? outcome.message : "",
      new RegExp(
        `^${from} keeps 1\\d\\d(\\.\\d)? MiB of WAL for the move of "sh0042" \\(slot \\w+\\), more than --max-wal allows \\(96 MiB\\).*${to} being away`,
      ),
    );
    await expectSound(ledger);
    await expectUntouched(world, before);
  });

  it("undoes it also while the destination does not respond", async () => {
    const { a, b } = await testIslands();
    const network = await Proxy.start(b);
    const world = await createWorld({ servers: { a, b: behind(network, b) } });
    await createShard(world.a, 42, "CREATE TABLE sh0042.t (id int PRIMARY KEY)");
    const before = await world.startWorker();
    const handle = await world.startMove({ wait: true, maxWalBytes: 96 * MIB });
    await untilPaused(handle);
    await stopReceiving(world);
    await before.kill();
    network.swallow();
    await writeWal(world.a, 112);
    await world.startWorker();
    await waitFor(async () => (await handle.query<Progress>(progressQuery)).phase === "aborting", {
      what: "the move to be undone",
    });
    network.mend();
    const outcome = outcomeOfError(await handle.result().catch((thrown: unknown) => thrown));
    assert.equal(outcome.kind === "failed" && outcome.code, "wal_limit");
    assert.deepEqual(await activePlaces("sh0042", world.a, world.b), [world.a.name]);
  });

  it("does not matter as long as it is less: the move ends as ever", async () => {
    const world = await createWorld();
    const ledger = await loadedShard(world);
    await world.startWorker();
    const handle = await world.startMove({ wait: true, maxWalBytes: 1024 * MIB });
    await untilPaused(handle);
    await waitFor(async () => (await walKeptOf(handle)) !== undefined, { what: "the WAL to be told" });
    await handle.signal("confirm");
    const { activated } = await handle.result();
    assert.ok(activated);
    await expectSound(ledger);
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import type { WorkflowHandle } from "@temporalio/client";

import type { MoveResult } from "../../contract/move.ts";
import { type Progress } from "../../contract/story.ts";
import { startPostgres, startReplica } from "../../src/sandbox/index.ts";
import { progressQuery } from "../../workflows/signals.ts";
import { testIslands, waitFor } from "../support/index.ts";
import { createShard, createWorld, reportsOf, resultOf, waitingFor } from "../support/world.ts";
import { expectSound, LARGE, loadedShard } from "./shard.ts";

interface Sample {
  step: string;
  percent: number;
  rows: number;
  copiedBytes: number;
}

/** What somebody who looks at a move is shown. */
async function look(handle: WorkflowHandle): Promise<Sample> {
  const reports = await reportsOf(handle);
  const progress = await handle.query<Progress>(progressQuery);
  const reached = reports.map(({ details }) => details.reached).find((one) => one !== undefined);
  return {
    step: progress.step,
    percent: Math.max(progress.percent, reached?.percent ?? 0),
    rows: reached?.rows ?? progress.rows ?? 0,
    copiedBytes: reached?.copiedBytes ?? progress.copiedBytes ?? 0,
  };
}

/** Looks at a move all the time, until it ends. */
async function watch(handle: WorkflowHandle): Promise<{ samples: Sample[]; result: MoveResult }> {
  const samples: Sample[] = [];
  let result: MoveResult | undefined;
  const ended = resultOf(handle).then((told) => (result = told as MoveResult));
  while (!result) {
    samples.push(await look(handle));
    await Promise.race([ended, sleep(20)]);
  }
  return { samples: [...samples, await look(handle)], result };
}

/** The samples in which something has changed. */
const changes = (samples: readonly Sample[]): string =>
  samples
    .map(({ step, percent, rows }) => `${step} ${percent} ${rows}`)
    .filter((text, i, all) => text !== all[i - 1])
    .join(" | ");

function expectNeverBack(samples: readonly Sample[]): void {
  const back = samples.find(({ percent }, i) => percent < (samples[i - 1]?.percent ?? 0));
  assert.equal(back, undefined, changes(samples));
  assert.equal(samples.at(-1)!.percent, 100);
  const copying = samples.filter(({ step }) => step === "tablesync");
  assert.ok(
    copying.every(({ percent }) => percent > 0 && percent < 100),
    changes(copying),
  );
}

describe("the progress of a move", { timeout: 300_000 }, () => {
  it("never runs backwards, also over a wait for a replica in the middle", async () => {
    const a = await startPostgres({ name: "numbers", version: 17 });
    const replica = await startReplica(a, { name: "replica-of-numbers" });
    const { b } = await testIslands();
    const world = await createWorld({ servers: { a, b } });
    const ledger = await loadedShard(world, { rows: LARGE });
    await world.startWorker();
    await replica.withClient((client) => client.query("SELECT pg_wal_replay_pause()"));
    const handle = await world.startMove({ maxReplicationLagSec: 1 });
    const watching = watch(handle);
    await waitFor(() => waitingFor(handle), { what: "the wait for the replica" });
    const waiting = await look(handle);
    await replica.withClient((client) => client.query("SELECT pg_wal_replay_resume()"));
    const { samples } = await watching;
    assert.equal(waiting.step, "wait for lag");
    assert.ok(waiting.percent > 0 && waiting.percent < 30, changes(samples));
    expectNeverBack(samples);
    await expectSound(ledger);
  });

  for (const copyMethod of ["tablesync", "direct"] as const) {
    it(`counts each row once while tables end (${copyMethod}), and exactly in the end`, async () => {
      const world = await createWorld();
      const tables = Array.from({ length: 12 }, (_, i) => `t${i}`);
      const rowsOf = (name: string): number => (name === "t0" ? 400_000 : 20_000);
      const sql = tables.map(
        (name) => `CREATE TABLE sh0042.${name} (id int PRIMARY KEY, a text);
          INSERT INTO sh0042.${name} SELECT i, repeat(md5(i::text), 8) FROM generate_series(1, ${rowsOf(name)}) i`,
      );
      await createShard(world.a, 42, sql.join(";\n"));
      // Now, so that no autovacuum adds free space maps after the size has been read.
      await world.a.rows(`VACUUM (ANALYZE) ${tables.map((name) => `sh0042.${name}`).join()}`);
      const [size] = await world.a.rows<{ bytes: string }>(
        `SELECT sum(pg_total_relation_size(oid)) AS bytes FROM pg_class
         WHERE relnamespace = 'sh0042'::regnamespace AND relkind IN ('r', 'm')`,
      );
      await world.startWorker();
      const { samples, result } = await watch(await world.startMove({ copyMethod }));
      const real = tables.reduce((sum, name) => sum + rowsOf(name), 0);
      assert.ok(
        samples.every(({ rows }) => rows <= real),
        changes(samples),
      );
      assert.deepEqual([result.rows, samples.at(-1)!.rows], [real, real]);
      expectNeverBack(samples);
      assert.equal(result.sizeBytes, Number(size!.bytes));
      assert.equal(result.bytes, result.copiedBytes);
      // A row takes 256 bytes and a little more in either format.
      const perRow = result.copiedBytes / real;
      assert.ok(perRow > 256 && perRow < 340, String(perRow));
      assert.equal(samples.at(-1)!.copiedBytes, result.copiedBytes);
    });
  }
});

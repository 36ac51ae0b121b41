import assert from "node:assert/strict";
import { it } from "node:test";

import type { MoveResult } from "../../contract/move.ts";
import { moveSummary } from "../../src/cli/actions/move.ts";
import { bytes, duration } from "../../src/format.ts";

it("sizes have three digits and a unit for powers of 1024", () => {
  const shown = [0, 999, 1023, 2048, 10.5 * 1024, 1000 * 1024, 512 * 1024 ** 2, 3 * 1024 ** 4].map(bytes);
  assert.deepEqual(shown, [
    ...["0 B", "999 B", "1023 B", "2 KiB"],
    ...["10.5 KiB", "1000 KiB", "512 MiB", "3 TiB"],
  ]);
});

it("times have a space before their unit, as in every message", () => {
  const shown = [0, 250, 9_990, 12_345, 65_400, 3_599_400, 7_400_000].map(duration);
  assert.deepEqual(shown, ["0.00 s", "0.25 s", "9.99 s", "12.3 s", "1 min 5 s", "59 min 59 s", "2 h 3 min"]);
});

it("the summary of a rehearsed switch has its blocked times, and who was in the way", () => {
  const blocker = { who: "pid 7 app on a/app, idle in transaction for 3 s", statement: "UPDATE t SET a = 1" };
  const prepared = { who: "a prepared transaction (see pg_prepared_xacts) on a/app", statement: null };
  const result: MoveResult = {
    workflowId: "move-sh0001",
    runId: "r",
    schema: "sh0001",
    from: "a/app",
    to: "b/app",
    activated: false,
    leftover: "sh0001new_20260101000000",
    rows: 5,
    bytes: 9,
    copiedBytes: 9,
    sizeBytes: 0,
    walKeptBytes: 0,
    durationMs: 250,
    writeBlockedMs: 90,
    writeBlocked: { attempts: 3, longestMs: 90, totalMs: 120, atMost: false },
    endedBlockers: [],
    verified: { tables: 1, rows: 5, unsettled: [] },
  };
  const plain = "Rehearsed sh0001 from a/app to b/app: 5 rows, 9 B copied in 0.25 s, every row compared";
  assert.ok(moveSummary(result).startsWith(`${plain}. Nothing was switched; the copy is sh0001new_`));
  const blocked = `${plain}; rehearsing the switch blocked writers for 120 ms in all by 3 attempts, 90 ms at the longest`;
  assert.ok(moveSummary({ ...result, blockers: [] }).startsWith(`${blocked}. Nothing was switched`));
  assert.ok(
    moveSummary({ ...result, blockers: [blocker, prepared] }).startsWith(
      `${blocked}; in the way: ${blocker.who}: UPDATE t SET a = 1; ${prepared.who}. Nothing was switched`,
    ),
  );
});

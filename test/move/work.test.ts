import assert from "node:assert/strict";
import { describe, it } from "node:test";

import fc from "fast-check";

import { CopyProgress } from "../../activities/move/parts/copy-progress.ts";
import type { Reached } from "../../contract/progress.ts";
import { percentDone } from "../../src/format.ts";
import type { Table } from "../../src/postgres/schema/tables.ts";
import { Course, effortOf, Pace, percentOf, shareDone, workOf } from "../../workflows/work.ts";

const STEPS = [
  ...(["preflight", "create structure", "wait for lag", "subscribe", "tablesync", "wait for lag"] as const),
  ...([
    "build indexes",
    "analyze",
    "wait for lag",
    "wait for confirmation",
    "lock and switch",
    "clean up",
  ] as const),
];

const amount = fc.integer({ min: 0, max: 2 ** 45 });
const plans = fc
  .record({
    bytes: amount,
    indexes: amount,
    copyMethod: fc.constantFrom("direct" as const, "tablesync" as const),
  })
  .map(({ bytes, indexes, copyMethod }) => ({ bytes, sizeBytes: bytes + indexes, copyMethod }));

const table = (name: string, bytes: number, estimatedRows: number): Table => ({
  oid: "1",
  name,
  kind: "r",
  unlogged: false,
  replicaIdentity: "d",
  hasIdentity: true,
  comparable: true,
  binarySafe: true,
  columns: [],
  bytes,
  totalBytes: bytes,
  estimatedRows,
});

describe("the percentage of a move", () => {
  it("never falls, whatever its steps report and however often they start over, and is 100 only at the end", () => {
    const beats = fc.array(fc.double({ min: -50, max: 250, noNaN: true }), { maxLength: 8 });
    const attempts = fc.array(beats, { minLength: 1, maxLength: 3 });
    const course = fc.tuple(plans, fc.array(attempts, { minLength: STEPS.length, maxLength: STEPS.length }));
    fc.assert(
      fc.property(course, ([plan, reports]) => {
        const work = workOf(plan);
        let [shown, at] = [0, 0];
        const show = (percent: number): void => {
          assert.ok(percent >= shown && percent < 100, `${shown} → ${percent}`);
          shown = percent;
        };
        for (const [i, step] of STEPS.entries()) {
          // As the workflow tells it between two steps.
          show(Math.max(shown, percentOf(shareDone(work, step) ?? 0)));
          let last: Reached | undefined;
          for (const attempt of reports[i]!) {
            const way = new Course(plan);
            for (const percent of attempt) {
              last = way.reached(step, { percent }, last, (at += 500)) ?? last;
              if (last) show(Math.max(shown, last.percent));
              if (last && step === "tablesync") assert.notEqual(percentDone(last.percent), "0%");
            }
          }
          // What a step has told in its course is at most what the workflow tells after it.
          const next = STEPS.slice(i + 1).find((later) => shareDone(work, later) !== null);
          if (last && next) assert.ok(last.percent <= percentOf(shareDone(work, next)!));
        }
      }),
    );
  });

  it("is that of the bytes: a copy of most of the bytes is most of the way", () => {
    const plan = { bytes: 60 * 2 ** 30, sizeBytes: 100 * 2 ** 30, copyMethod: "direct" as const };
    const reached = new Course(plan).reached("tablesync", { percent: 50 }, undefined, 0)!;
    // 60 to copy, 40 of indexes, 30 to compare.
    assert.ok(Math.abs(reached.percent - 23) < 1, String(reached.percent));
    assert.equal(new Course(plan).reached("wait for lag", { percent: 50 }, undefined, 0), null);
    assert.equal(effortOf({ bytes: 0 }), 34 * 2 ** 20);
  });
});

describe("the time that is left", () => {
  it("falls as work is done, and follows the pace of the last half minute", () => {
    const pace = new Pace();
    pace.note(0, 0);
    assert.equal(pace.secondsUntil(100), undefined);
    for (let second = 1; second <= 50; second++) pace.note(second, 1000 * second);
    assert.equal(pace.secondsUntil(100), 50);
    for (let second = 51; second <= 90; second++) pace.note(50 + (second - 50) / 2, 1000 * second);
    assert.equal(pace.secondsUntil(100), 60);
    for (let second = 91; second <= 130; second++) pace.note(70, 1000 * second);
    assert.equal(pace.secondsUntil(100), undefined, "nobody knows how long a standstill takes");
  });
});

describe("what has been copied", () => {
  it("is never more than there is, and never falls while tables fail, start over and end", () => {
    const moves = fc.array(fc.record({ table: fc.nat(2), rows: fc.nat(1000), end: fc.boolean() }), {
      maxLength: 60,
    });
    fc.assert(
      fc.property(moves, fc.array(fc.nat(1000), { minLength: 3, maxLength: 3 }), (beats, estimates) => {
        const tables = estimates.map((estimate, i) => table(`t${i}`, 8192 * (i + 1), estimate));
        const progress = new CopyProgress(tables);
        const ended = new Set<number>();
        let before = progress.look();
        for (const { table: no, rows, end } of beats) {
          if (ended.has(no)) continue;
          if (end) {
            progress.ended(`t${no}`, 1000);
            ended.add(no);
          } else progress.running(`t${no}`, { rows, bytes: 10 * rows });
          const now = progress.look();
          assert.ok(now.tuples! >= before.tuples! && now.tuples! <= 3000);
          assert.ok(now.percent! >= before.percent! && now.percent! <= 100);
          assert.equal(now.percent! === 100, ended.size === 3);
          before = now;
        }
      }),
    );
  });

  it("counts the bytes of a stream whose end nobody saw by its rows", () => {
    const progress = new CopyProgress([table("t", 1 << 20, 1000)]);
    progress.running("t", { rows: 400, bytes: 4000 });
    progress.ended("t", 1000);
    assert.deepEqual([progress.rows, progress.bytes], [1000, 10_000]);
    const unseen = new CopyProgress([table("t", 1 << 20, 1000)]);
    unseen.ended("t", 1000);
    assert.equal(unseen.bytes, 1 << 20);
  });
});

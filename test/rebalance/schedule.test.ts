import assert from "node:assert/strict";
import { describe, it } from "node:test";

import fc from "fast-check";

import { type Movable, type MoveLimits, Schedule } from "../../workflows/rebalance-schedule.ts";

const GB = 1024 ** 3;
const move = (from: string, to: string, bytes = GB): Movable => ({ from, to, bytes });

const island = fc.constantFrom("a", "b", "c", "d", "e");
const moves = fc.array(
  fc
    .tuple(island, island, fc.nat(20))
    .map(([from, to, size]) => move(from, to === from ? `${to}2` : to, size * GB)),
  { maxLength: 25 },
);
const limits: fc.Arbitrary<MoveLimits> = fc.record(
  { parallelism: fc.integer({ min: 1, max: 6 }), perIsland: fc.integer({ min: 1, max: 3 }) },
  { requiredKeys: ["parallelism"] },
);

/**
 * Runs moves as a workflow does, each ending after the time that `endsAfter` returns; calls `look` whenever no
 * more may start.
 */
function run(
  moves: Movable[],
  limits: MoveLimits,
  endsAfter: (move: Movable) => number,
  look: (running: Movable[], pending: Movable[]) => void = () => {},
): { order: Movable[]; duration: number } {
  const schedule = new Schedule(moves, [], limits);
  const order: Movable[] = [];
  let running: { move: Movable; end: number }[] = [];
  let now = 0;
  for (;;) {
    for (let next; (next = schedule.take());) {
      running.push({ move: next, end: now + endsAfter(next) });
      order.push(next);
    }
    look(
      running.map((r) => r.move),
      schedule.pending,
    );
    if (running.length === 0) return { order, duration: now };
    now = Math.min(...running.map(({ end }) => end));
    for (const { move } of running.filter(({ end }) => end <= now)) schedule.ended(move);
    running = running.filter(({ end }) => end > now);
  }
}

/** The move that starts next, given those that are running. */
const nextMove = (pending: Movable[], running: Movable[], limits: MoveLimits): Movable | null =>
  new Schedule(pending, running, limits).take();

const endsOf = (running: Movable[], name: string): number =>
  running.filter(({ from, to }) => from === name || to === name).length;

describe("Schedule", () => {
  it("starts every move once and stays within both limits", () => {
    fc.assert(
      fc.property(moves, limits, (all, limits) => {
        const { order } = run(
          all,
          limits,
          ({ bytes }) => bytes + 1,
          (running) => {
            assert.ok(running.length <= limits.parallelism);
            for (const name of running.flatMap(({ from, to }) => [from, to])) {
              assert.ok(endsOf(running, name) <= (limits.perIsland ?? Infinity));
            }
          },
        );
        assert.equal(order.length, all.length);
        assert.equal(new Set(order).size, all.length);
      }),
      { seed: 1 },
    );
  });

  it("never leaves a lane idle while a move may start", () => {
    fc.assert(
      fc.property(moves, limits, (all, limits) => {
        run(
          all,
          limits,
          ({ bytes }) => bytes + 1,
          (running, pending) => {
            const startable = pending.some(
              ({ from, to }) =>
                Math.max(endsOf(running, from), endsOf(running, to)) < (limits.perIsland ?? Infinity),
            );
            assert.ok(running.length === limits.parallelism || !startable);
          },
        );
      }),
      { seed: 2 },
    );
  });

  it("prefers islands that are not busy", () => {
    const pending = [move("a", "b", 9 * GB), move("c", "d", GB)];
    assert.equal(nextMove(pending, [move("a", "e")], { parallelism: 4 }), pending[1]);
  });

  it("begins with the island that has the most work left, and there with the largest move", () => {
    const pending = [move("a", "b", 4 * GB), move("c", "d", 3 * GB), move("c", "e", 2 * GB)];
    assert.equal(nextMove(pending, [], { parallelism: 2 }), pending[1]);
  });

  it("counts an island's own load at both ends of a move", () => {
    const pending = [move("b", "a"), move("a", "c")];
    assert.equal(nextMove(pending, [move("a", "b")], { parallelism: 4, perIsland: 1 }), null);
  });

  it("runs as many concurrent moves as requested when all leave the same island", () => {
    const pending = [move("a", "b"), move("a", "c"), move("a", "d")];
    let most = 0;
    run(
      pending,
      { parallelism: 3 },
      () => 1,
      (running) => (most = Math.max(most, running.length)),
    );
    assert.equal(most, 3);
  });

  it("returns null when nothing is pending", () => {
    assert.equal(nextMove([], [move("a", "b")], { parallelism: 2 }), null);
  });

  it("keeps one island from being left for last", () => {
    // Everything from `a` takes 12 hours; the rest takes 12 hours on a second lane.
    const fromA = Array.from({ length: 6 }, (_, i) => move("a", `t${i}`, 2 * GB));
    const others = Array.from({ length: 6 }, (_, i) => move(`s${i}`, `u${i}`, 2 * GB));
    const { duration } = run(
      [...others, ...fromA],
      { parallelism: 2, perIsland: 1 },
      ({ bytes }) => bytes / GB,
    );
    assert.equal(duration, 12);
  });

  it("keeps all lanes busy until nearly the end when no island has more to do than its share", () => {
    const all = Array.from({ length: 120 }, (_, i) =>
      move(`s${i % 8}`, `t${Math.floor(i / 8) % 8}`, (1 + (i % 7)) * GB),
    );
    const { duration } = run(all, { parallelism: 4, perIsland: 1 }, ({ bytes }) => bytes);
    const ideal = all.reduce((sum, { bytes }) => sum + bytes, 0) / 4;
    assert.ok(duration < 1.05 * ideal, `${duration / ideal}`);
  });

  it("stays within the room of the servers, counted over all databases of a server, separately for each end", () => {
    const rooms = [{ islands: ["a1", "a2"], leaving: 2, arriving: 1 }];
    const all = [
      ...["a1", "a2", "a1", "a2"].map((from) => move(from, "b")),
      ...["a1", "a2", "a2"].map((to) => move("b", to)),
    ];
    let most = { leaving: 0, arriving: 0 };
    const { order } = run(
      all,
      { parallelism: 10, rooms },
      () => 1,
      (running) => {
        const leaving = running.filter(({ from }) => from.startsWith("a")).length;
        const arriving = running.filter(({ to }) => to.startsWith("a")).length;
        most = { leaving: Math.max(most.leaving, leaving), arriving: Math.max(most.arriving, arriving) };
      },
    );
    assert.deepEqual([most, order.length], [{ leaving: 2, arriving: 1 }, all.length]);
  });

  it("lets one move through if a server has no room, so that its preflight can say why", () => {
    const rooms = [{ islands: ["a"], leaving: 0, arriving: 0 }];
    let most = 0;
    const { order } = run(
      [move("a", "b"), move("a", "c")],
      { parallelism: 4, rooms },
      () => 1,
      (running) => (most = Math.max(most, running.length)),
    );
    assert.deepEqual([most, order.length], [1, 2]);
  });

  it("takes a thousand moves between 50 islands in no time", () => {
    const all = Array.from({ length: 1000 }, (_, i) =>
      move(`i${i % 50}`, `i${50 + (i % 49)}`, (i % 97) * GB),
    );
    assert.equal(run(all, { parallelism: 10 }, ({ bytes }) => bytes + 1).order.length, 1000);
  });
});

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it, mock } from "node:test";

import type { StepProgress } from "../../contract/progress.ts";
import { idleText, Story } from "../../src/watch/story.ts";
import { BLOCKER, moveAt, NOW } from "./pictures/snapshots.ts";

const MINUTE = 60_000;

describe("the story of a workflow without a terminal", () => {
  beforeEach(() => mock.timers.enable({ apis: ["Date"], now: NOW }));
  afterEach(() => mock.timers.reset());

  /** The lines that are told while a look is taken every second. */
  function tell(seconds: number, details: (second: number) => StepProgress): string[] {
    const story = new Story(() => true);
    const lines: string[] = [];
    for (let second = 0; second < seconds; second++) {
      const snapshot = moveAt({ step: "lock and switch", done: [], percent: 90, details: details(second) });
      lines.push(...story.tell({ ...snapshot, walKeptBytes: null }).map(({ text }) => text));
      mock.timers.tick(1000);
    }
    return lines;
  }

  it("tells a wait that comes and goes between two looks once, then rarely", () => {
    const waiting = (second: number): string => `the move of sh0042 to end (running for ${second} s)`;
    const looks = (second: number): StepProgress =>
      second % 4 === 0 ? { note: "found where the shards are" } : { waitingFor: waiting(second) };
    const lines = tell(15 * 60, looks);
    assert.equal(lines.filter((text) => text.startsWith("waiting for")).length, 2, lines.join("\n"));
    assert.ok(lines.length <= 5, lines.join("\n"));
  });

  it("tells of another session that blocks at once", () => {
    const other = BLOCKER.replaceAll("41244", "41245");
    const lines = tell(60, (second) => ({ waitingFor: second < 30 ? BLOCKER : other }));
    assert.deepEqual(lines, [`waiting for ${BLOCKER}`, `waiting for ${other}`]);
  });

  it("repeats the numbers of a long step, which change", () => {
    const lines = tell((5 * MINUTE) / 1000, (second) => ({ tuples: 1000 * second }));
    assert.ok(lines.length > 15, lines.join("\n"));
  });
});

it("work that no worker takes is taken by attach on the embedded server", () => {
  assert.match(
    idleText("shardferry", { embedded: true, workflowId: "move-sh0001" }),
    /`shardferry attach move-sh0001`/,
  );
  assert.match(idleText("shardferry", { embedded: false, workflowId: "move-sh0001" }), /`shardferry worker`/);
});

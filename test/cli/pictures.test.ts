import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it, mock } from "node:test";

import pc from "picocolors";
import stringWidth from "string-width";

import { STEPS } from "../../contract/move.ts";
import { renderDiagnosis } from "../../src/cli/actions/doctor.ts";
import { renderHistory } from "../../src/cli/actions/history.ts";
import { renderLayout } from "../../src/cli/actions/list.ts";
import { renderProposal } from "../../src/cli/actions/rebalance.ts";
import { renderStatus } from "../../src/cli/actions/status.ts";
import { render } from "../../src/cli/view/render.ts";
import { renderRebalance } from "../../src/cli/view/render-rebalance.ts";
import { Sheet } from "../../src/cli/view/sheet.ts";
import { diagnosis, layout, past, proposal, REMEDIES, WHY } from "./pictures/documents.ts";
import { BLOCKER, moveAt, NOW, rebalanceAt } from "./pictures/snapshots.ts";

const FOLDER = join(import.meta.dirname, "pictures");
const COLUMNS = [60, 80, 110, 160];
const ROWS = 40;
const LOG = "/tmp/shardferry.1000/20261130114726-sh0042.log";
const colors = pc.createColors(false);

/** The text of a picture with its lines joined: words that were wrapped are together again. */
const joined = (lines: readonly string[]): string =>
  lines
    .map((line) => line.trim())
    .join(" ")
    .replace(/ +/g, " ");
/** A word that is wider than the terminal is broken. */
const solid = (text: string): string => text.replace(/\s+/g, "");

/** Compares the pictures of all widths with their file, or writes it with UPDATE_PICTURES=1. */
function picture(
  name: string,
  draw: (columns: number) => string[] | Promise<string[]>,
  whole: readonly string[],
): void {
  it(`${name} is whole at every width`, async () => {
    const pictures = [];
    for (const columns of COLUMNS) {
      const lines = await draw(columns);
      // A link outside of a live view is left to the terminal to wrap, which keeps it in one piece.
      for (const line of lines.filter((text) => !text.startsWith("http")))
        assert.ok(stringWidth(line) <= columns, `${columns} columns: ${line}`);
      for (const text of whole)
        assert.ok(solid(joined(lines)).includes(solid(text)), `${columns} columns: ${text}`);
      pictures.push(`${"─".repeat(columns)}\n${lines.join("\n")}\n`);
    }
    const file = join(FOLDER, `${name.replaceAll(" ", "-")}.txt`);
    if (process.env["UPDATE_PICTURES"]) {
      mkdirSync(FOLDER, { recursive: true });
      writeFileSync(file, pictures.join(""));
    }
    assert.equal(pictures.join(""), readFileSync(file, "utf8"));
  });
}

const frame = (columns: number, rows = ROWS) => ({
  logFile: LOG,
  notice: null,
  tick: 0,
  aborting: false,
  sheet: new Sheet(columns, rows),
  colors,
});

const until = (step: (typeof STEPS)[number]): (typeof STEPS)[number][] =>
  STEPS.slice(0, STEPS.indexOf(step)).filter((name) => name !== "verify" && name !== "wait for confirmation");

const CONFIRMATION =
  "confirmation to end the replication (confirm): you can now stop the writes on the source and reroute them";
const LAG =
  "replication lag of at most 20 s: replica-eu-2.shards.example.com more than 42.0 s, subscription 21.3 s";
const FAILURE = `could not connect to pg-shards-07.eu-central.shards.example.com: too many connections for role "shardferry": raise its connection limit`;

const MOVES = {
  "move copying": [
    moveAt({
      step: "tablesync",
      done: until("tablesync"),
      percent: 42.3,
      details: {
        note: "copying sh0042.orders and 3 more tables",
        tuples: 1_983_774,
        tuplesTotal: 4_689_781,
        bytes: 200 << 20,
        bytesPerSec: 21 << 20,
        sql: "COPY sh0042.orders (id, customer_id, total, created_at) TO STDOUT",
        reached: { percent: 42.3, secondsLeft: 312 },
      },
    }),
    [
      "about 5 min 12 s left",
      "1,983,774 of about 4,689,781 rows",
      "the source keeps 1.2 GiB of WAL",
      "^C aborts",
    ],
  ],
  "move waiting for lag": [
    moveAt({ step: "wait for lag", done: until("wait for lag"), percent: 88, waitingFor: LAG }),
    [LAG, "Shift+S continues without waiting for lag"],
  ],
  "move blocked": [
    moveAt({
      step: "lock and switch",
      done: until("lock and switch"),
      percent: 94,
      waitingFor: BLOCKER,
      details: {
        note: "attempt 14 blocked writers for 117 ms",
        blocked: { attempts: 14, totalMs: 1204, longestMs: 117, atMost: false },
      },
    }),
    [BLOCKER, "writers were blocked for 1,204 ms in all by 14 attempts, 117 ms at the longest"],
  ],
  "copy paused": [
    moveAt({
      phase: "paused",
      step: "wait for confirmation",
      done: until("wait for confirmation"),
      percent: 90,
      waitingFor: CONFIRMATION,
    }),
    [CONFIRMATION, "Shift+S confirms"],
  ],
  "move trying again": [
    moveAt({ step: "tablesync", done: until("tablesync"), percent: 20, failure: FAILURE }),
    [`tablesync: attempt 2 failed: ${FAILURE}`],
  ],
  "move aborting": [
    moveAt({ phase: "aborting", step: "tablesync", done: until("tablesync"), percent: 42.3 }),
    ["aborting"],
  ],
  "move aborted": [
    moveAt({ phase: "aborted", step: "tablesync", done: until("build indexes"), percent: 42.3 }),
    ["aborted"],
  ],
  "move failed": [
    moveAt({ phase: "failed", step: "build indexes", done: until("build indexes"), percent: 70 }),
    ["34.5 s"],
  ],
  "move done": [
    moveAt({ phase: "done", step: "clean up", done: [...until("clean up"), "clean up"], percent: 100 }),
    [
      "writers were blocked for 1,204 ms in all by 14 attempts",
      "FAILED: the debug views are in use",
      "34.5 s",
    ],
  ],
} as const;

describe("pictures", () => {
  before(() => mock.timers.enable({ apis: ["Date"], now: NOW }));
  after(() => mock.timers.reset());

  for (const [name, [snapshot, whole]] of Object.entries(MOVES)) {
    const aborting = name === "move aborting";
    const draw = (columns: number): string[] =>
      render({ ...frame(columns), aborting, snapshot, lags: [], idleQueue: null });
    picture(name, draw, [...whole, LOG, snapshot.link!]);
  }

  for (const phase of ["running", "aborting", "done"] as const) {
    const { snapshot, moves } = rebalanceAt(phase);
    const draw = (columns: number): string[] =>
      renderRebalance({ ...frame(columns), aborting: phase === "aborting", snapshot, moves, idle: null });
    picture(`rebalance ${phase}`, draw, phase === "done" ? [LOG] : [BLOCKER, LOG]);
  }

  const { snapshot, moves } = rebalanceAt("running");
  picture(
    "status",
    (columns) => renderStatus([MOVES["copy paused"][0], snapshot, ...moves], { colors, columns }).split("\n"),
    [CONFIRMATION, BLOCKER],
  );
  picture(
    "status of one",
    (columns) => renderStatus([MOVES["move copying"][0]], { colors, columns }).split("\n"),
    ["42%"],
  );
  for (const verbose of [false, true]) {
    const name = verbose ? "list verbose" : "list";
    picture(name, (columns) => renderLayout(layout(verbose), { colors, columns }).split("\n"), [
      "sh0041",
      "1.48 GiB",
    ]);
  }
  picture("doctor", (columns) => renderDiagnosis(diagnosis, { colors, columns }).split("\n"), REMEDIES);

  picture("plan", async (columns) => (await renderProposal(proposal, { colors, columns })).split("\n"), [
    "At most 2 moves at a time instead of 6: max_replication_slots of pg-shards-01.eu-central.shards.example.com:5432/app leaves 2",
    "stay on the islands that the shards leave until `shardferry cleanup` drops them",
    "sh0000 stays on",
    "an inactive schema of that name is in the way (cleanup)",
  ]);

  picture("history", (columns) => renderHistory(past, { colors, columns }).split("\n"), [
    WHY,
    "failed: slot_lost",
    "1,204 ms",
    "connection refused",
    "has no history: run `shardferry install`",
  ]);

  it("a terminal of few rows keeps the keys, the log and what is to be done", () => {
    for (const [snapshot, whole] of Object.values(MOVES)) {
      const lines = render({ ...frame(110, 14), snapshot, lags: [], idleQueue: null });
      assert.ok(lines.length < 14);
      assert.ok(joined(lines).includes(LOG));
      const first = whole[0];
      if (snapshot.running)
        assert.ok(solid(joined(lines)).includes(solid(first)), `${first} in ${lines.join("\n")}`);
    }
  });

  it("keys are offered only where they do something", () => {
    const shown = (snapshot: (typeof MOVES)["move done"][0]): string =>
      joined(render({ ...frame(110), snapshot, lags: [], idleQueue: null }));
    assert.doesNotMatch(shown(MOVES["move blocked"][0]), /Shift\+S/);
    assert.doesNotMatch(shown(MOVES["move done"][0]), /Shift\+S|\^C/);
    assert.match(shown(MOVES["move waiting for lag"][0]), /Shift\+S/);
  });
});

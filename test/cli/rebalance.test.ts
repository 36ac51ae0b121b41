import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { before, describe, it } from "node:test";

import type { RebalanceResult } from "../../src/watch/rebalance-result.ts";
import { type Cluster, countsOf, createCluster, createShards, layoutOf } from "../rebalance/cluster.ts";
import { expectNoLeftovers, testIslands, waitFor } from "../support/index.ts";
import { type Command, run, runJson, start, startInTerminal } from "./run-command.ts";

let cluster: Cluster;
before(async () => {
  const { a, b } = await testIslands();
  cluster = await createCluster([a, b], 3);
  await createShards(cluster.databases[0]!, 1, 6);
});

const CTRL_C = "\x03";

/** Returns what is on the screen at the end: after the last redraw of the block. */
const screen = (command: Command): string => command.stdout.split(`A\x1b[J`).at(-1)!;

const runningMoves = async (): Promise<string[]> =>
  (await runJson<{ workflowId: string }[]>(["status"], cluster))
    .map(({ workflowId }) => workflowId)
    .filter((id) => id.startsWith("move-"));

describe("rebalance, with the embedded Temporal server", () => {
  it("shows the plan, and starts nothing without --yes if there is no terminal to confirm it on", async () => {
    const { status, stdout, stderr } = await run(["rebalance"], cluster);
    assert.equal(status, 2);
    assert.match(stdout, /6 → 2 +█+/);
    assert.match(stdout, /^4 moves, /m);
    assert.match(stderr, /no terminal to confirm it on\. Give --yes/);
    assert.deepEqual(await countsOf(cluster), [6, 0, 0]);
  });

  it("makes islands even by one command, and reports each move", async () => {
    const { status, stdout, stderr } = await run(["rebalance", "--yes"], cluster);
    assert.deepEqual([status, stderr], [0, ""]);
    assert.deepEqual(await countsOf(cluster), [2, 2, 2]);
    assert.equal(stdout.match(/^[\dT:.-]+Z moved sh000\d from .* to .*: 10 rows in/gm)?.length, 4);
    assert.match(stdout, /^Moved 4 shards: 40 rows, /m);
    await expectNoLeftovers(...cluster.databases);
  });

  it("finds nothing to do if it is run again", async () => {
    const { status, stdout } = await run(["rebalance"], cluster);
    assert.equal(status, 0);
    assert.match(stdout, /Nothing to move/);
    assert.deepEqual(await runJson(["rebalance"], cluster), { moves: [], failed: [], remaining: 0 });
  });

  it("empties decommissioned islands, prints one JSON document, and logs each move to a file", async () => {
    const args = ["rebalance", `--decommission=${cluster.names[0]},${cluster.names[2]}`, "--yes"];
    const { moves, failed } = await runJson<RebalanceResult>(args, cluster);
    assert.deepEqual(await countsOf(cluster), [0, 6, 0]);
    assert.deepEqual([moves.length, failed], [4, []]);
    for (const {
      workflowId,
      runId,
      schema,
      from,
      to,
      activated,
      rows,
      bytes,
      durationMs,
      writeBlockedMs,
    } of moves) {
      assert.deepEqual([workflowId, to, activated, rows], [`move-${schema}`, cluster.names[1], true, 10]);
      assert.ok(runId && from !== to && bytes > 0 && durationMs > 0 && writeBlockedMs >= 0);
    }
    const logs = readdirSync(join(tmpdir(), `shardferry.${userInfo().uid}`));
    for (const { schema } of moves)
      assert.ok(
        logs.some((name) => name.endsWith(`-${schema}.log`)),
        schema,
      );
  });

  it("refuses impossible plans", async () => {
    for (const [args, message] of [
      [[`--decommission=${cluster.names.join(",")}`], /one island has to remain/],
      [["--decommission=nix"], /No island matches "nix"/],
      [["--weight-sql=SELECT 'x' || count(*) FROM nix"], /--weight-sql failed in shard/],
      [["--max-bytes=much"], /--max-bytes: "much" is not a size/],
      [["--parallelism=0"], /--parallelism: "0" is not a whole number/],
    ] as const) {
      const { status, stderr } = await run(["rebalance", "--yes", ...args], cluster);
      assert.notEqual(status, 0);
      assert.match(stderr, message);
    }
    const units = "--weight-sql=SELECT CASE current_schema WHEN 'sh0001' THEN '1 user' ELSE '2 rows' END";
    assert.match((await run(["rebalance", units], cluster)).stderr, /different units.*"user", "rows"/);
  });

  it("pauses each move with --wait; a killed command continues when it is run again; one or all moves are confirmed", async () => {
    const args = ["rebalance", "--wait", "--yes"];
    const killed = start(args, cluster);
    await killed.prints(/waiting for confirmation/);
    killed.signal("SIGKILL");
    await killed.ended();
    const again = start(args, cluster);
    await again.prints(/attached to rebalance/);
    const second = start(args, cluster);
    await second.prints(/attached to rebalance/);
    for (const command of [again, second])
      await waitFor(() => command.stdout.match(/waiting for confirmation/g)?.length === 3, {
        what: "three pauses",
      });

    const other = await run(["rebalance", "--yes"], cluster);
    assert.equal(other.status, 1);
    assert.match(other.stderr, /rebalance has been running since .*wait is true there, false here/);

    const [first] = await runningMoves();
    assert.equal((await run(["confirm", first!], cluster)).status, 0);
    await again.prints(/moved sh000\d/);
    await waitFor(async () => (await runningMoves()).length === 3, { what: "the fourth move" });
    assert.deepEqual((await countsOf(cluster)).sort(), [0, 1, 5]);
    // A running rebalance stands for its moves.
    assert.equal((await run(["confirm"], cluster)).status, 0);
    for (const command of [again, second]) assert.equal((await command.ended()).status, 0);
    assert.deepEqual(await countsOf(cluster), [2, 2, 2]);
  });

  it("shows all moves at once in a terminal, asks first, and aborts all of them at ^C", async () => {
    const before = await layoutOf(cluster);
    const args = ["rebalance", `--decommission=${cluster.names[0]}`, "--wait"];
    const command = startInTerminal(args, cluster);
    await command.prints(/Make these moves\? \[y\/N\]/);
    command.press("y\n");
    await waitFor(() => /Shift\+S confirms the 2 paused moves/.test(screen(command)), {
      what: "the pauses",
    });
    assert.match(screen(command), /rebalance {2}running: 0 of 2 moves done, 0 B of/);
    assert.equal(screen(command).match(/‖.* sh000\d .* wait for confirmation/g)?.length, 2);
    command.press(CTRL_C);
    const { status, stdout } = await command.ended();
    assert.equal(status, 130);
    assert.match(stdout, /rebalance was aborted; 0 of 2 moves done/);
    assert.deepEqual(await layoutOf(cluster), before);
    await expectNoLeftovers(...cluster.databases);
    assert.match((await run(["status"], cluster)).stdout, /Nothing is running/);
  });

  it("is paused by a key or a command, says so, and continues when it is confirmed", async () => {
    const args = ["rebalance", `--decommission=${cluster.names[0]}`, "--wait", "--yes", "--parallelism=1"];
    const command = startInTerminal(args, cluster);
    const shows = (pattern: RegExp): Promise<unknown> =>
      waitFor(() => pattern.test(screen(command)), { what: `${pattern} in ${screen(command)}` });
    await shows(/Shift\+S confirms the paused move · Shift\+P pauses/);
    command.press("P");
    await shows(/rebalance {2}paused: 0 of 2 moves done/);
    assert.match(
      (await run(["status"], cluster)).stdout,
      /rebalance .*confirmation to start the other moves/,
    );
    command.press("S");
    await shows(/rebalance {2}running: .*Shift\+P pauses/s);
    const paused = await run(["pause"], cluster);
    assert.deepEqual([paused.status, paused.stderr], [0, ""]);
    assert.match(paused.stdout, /^rebalance: starts no more moves/);
    const [move] = await runningMoves();
    const refused = await run(["pause", move!], cluster);
    assert.equal(refused.status, 2);
    assert.match(refused.stderr, /only a rebalance can/);
    await shows(/rebalance {2}paused: .*Shift\+S starts the other moves/s);
    command.press(CTRL_C);
    assert.equal((await command.ended()).status, 130);
    assert.equal((await run(["pause"], cluster)).status, 1);
    await expectNoLeftovers(...cluster.databases);
  });

  it("starts nothing if the answer is no", async () => {
    const command = startInTerminal(["rebalance", `--decommission=${cluster.names[0]}`], cluster);
    await command.prints(/Make these moves\?/);
    command.press("n\n");
    assert.equal((await command.ended()).status, 130);
    assert.match((await run(["status"], cluster)).stdout, /Nothing is running/);
  });
});

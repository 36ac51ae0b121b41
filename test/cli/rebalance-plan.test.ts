import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import type { RebalancePlan } from "../../src/operations/rebalance-plan.ts";
import type { RebalanceResult } from "../../src/watch/rebalance-result.ts";
import { type Cluster, countsOf, createCluster, createShards, layoutOf } from "../rebalance/cluster.ts";
import { testIslands } from "../support/index.ts";
import { run, runJson } from "./run-command.ts";

interface JsonError {
  error: { code: string; message: string };
}

const folder = mkdtempSync(join(tmpdir(), "plan-"));
const file = join(folder, "plan.json");
let cluster: Cluster;
before(async () => {
  const { a, b } = await testIslands();
  cluster = await createCluster([a, b], 2);
  await createShards(cluster.databases[0]!, 1, 6);
});
after(() => rmSync(folder, { recursive: true }));

/** The plan is wrapped at the width of the terminal. */
const inOneLine = (text: string): string => text.replace(/\s+/g, " ");

describe("the plan of a rebalance as data", () => {
  it("is a document on stdout, and starts nothing", async () => {
    const [a, b] = cluster.names;
    const plan = await runJson<RebalancePlan>(["rebalance", "--dry-run", "--parallelism=2"], cluster);
    assert.equal(plan.version, 1);
    assert.deepEqual(
      plan.islands.map(({ island, role, before, after }) => [
        island,
        role,
        before.shards.length,
        after.shards.length,
      ]),
      [
        [a, "member", 6, 3],
        [b, "member", 0, 3],
      ],
    );
    assert.equal(plan.moves.length, 3);
    for (const move of plan.moves) {
      assert.deepEqual([move.from, move.to, move.bytes > 0, move.shard > 0], [a, b, true, true]);
    }
    assert.equal(plan.bytes, plan.islands[0]!.oldCopyBytes);
    assert.equal(plan.bytes, plan.islands[1]!.arrivingBytes);
    assert.deepEqual(plan.concurrency, { asked: 2, possible: 2, because: [] });
    const shown = await run(["rebalance", "--dry-run"], cluster);
    assert.equal(shown.status, 0, shown.stderr);
    assert.match(inOneLine(shown.stdout), /The old copies, .*, stay on .* cleanup.*Nothing was started/);
    assert.deepEqual(await countsOf(cluster), [6, 0]);
  });

  it("is no drawing on stderr if --json has nobody to ask, but an error that says what to do", async () => {
    const { status, stdout, stderr } = await run(["rebalance", "--json"], cluster);
    const { error } = JSON.parse(stdout) as JsonError;
    assert.deepEqual([status, stderr, error.code], [2, "", "usage"]);
    assert.match(error.message, /--yes .*--dry-run/);
  });

  it("is kept in a file, and made exactly; it is refused when the layout has changed", async () => {
    const before = await layoutOf(cluster);
    const written = await runJson<RebalancePlan>(["rebalance", `--out=${file}`], cluster);
    assert.deepEqual(JSON.parse(readFileSync(file, "utf8")), written);

    // Exactly these moves, even if another plan would be better.
    const chosen = { ...written, moves: written.moves.slice(0, 1) };
    writeFileSync(file, JSON.stringify(chosen));
    const { moves, failed } = await runJson<RebalanceResult>(
      ["rebalance", `--plan=${file}`, "--yes"],
      cluster,
    );
    assert.deepEqual(failed, []);
    assert.deepEqual(
      moves.map(({ schema, to }) => [schema, to]),
      chosen.moves.map(({ schema, to }) => [schema, to]),
    );

    const again = await runJson<JsonError>(["rebalance", `--plan=${file}`, "--yes"], cluster);
    assert.equal(again.error.code, "plan_outdated");
    const { schema, from, to } = moves[0]!;
    assert.ok(
      again.error.message.includes(`${schema} is active on ${to}, and was on ${from}`),
      again.error.message,
    );
    assert.notDeepEqual(await layoutOf(cluster), before);
  });

  it("is refused if it is of another version, damaged, or contradicted by options", async () => {
    const plan = await runJson<RebalancePlan>(["rebalance", `--out=${file}`], cluster);
    for (const [text, words] of [
      [JSON.stringify({ ...plan, version: 2 }), /not a plan of this version .* at version/],
      [JSON.stringify({ ...plan, moves: [{ schema: "sh0001" }] }), /at moves\.0\.shard/],
      ["{", /not a plan/],
    ] as const) {
      writeFileSync(file, text);
      const { status, stderr } = await run(["rebalance", `--plan=${file}`], cluster);
      assert.deepEqual([status, words.test(stderr)], [2, true], stderr);
    }
    for (const args of [[`--plan=${file}`, "--max-bytes=1GB"], [`--plan=${join(folder, "none.json")}`]])
      assert.equal((await run(["rebalance", ...args], cluster)).status, 2);
  });
});

describe("a schema in the way", () => {
  it("is avoided by the plan, and named in it", async () => {
    const [, second] = cluster.databases;
    const { moves } = await runJson<RebalancePlan>(["rebalance", "--dry-run"], cluster);
    const { schema, shard, to } = moves[0]!;
    await second!.rows(`SELECT microsharding.microsharding_ensure_exist(${shard})`);
    const plan = await runJson<RebalancePlan>(["rebalance", "--dry-run"], cluster);
    assert.deepEqual(
      plan.inTheWay.map((one) => [one.schema, one.island, /cleanup/.test(one.remedy)]),
      [[schema, to, true]],
    );
    assert.ok(plan.moves.length > 0 && plan.moves.every((move) => move.schema !== schema));
    const shown = await run(["rebalance", "--dry-run"], cluster);
    assert.match(
      inOneLine(shown.stdout),
      new RegExp(`${schema} does not go to ${to}: .* in the way \\(cleanup\\)`),
    );
    // A plan that was made before it appeared is refused.
    writeFileSync(file, JSON.stringify({ ...plan, moves }));
    const { error } = await runJson<JsonError>(["rebalance", `--plan=${file}`, "--yes"], cluster);
    assert.match(error.message, /inactive schema .* is in the way on/);
    const { failed } = await runJson<RebalanceResult>(["rebalance", "--yes"], cluster);
    assert.deepEqual(failed, []);
  });
});

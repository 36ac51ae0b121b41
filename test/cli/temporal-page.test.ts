import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { Client, Connection, defaultPayloadConverter } from "@temporalio/client";

import type { RebalanceOutcome } from "../../contract/rebalance.ts";
import {
  activeShards,
  createIslands,
  type Islands,
  run,
  schemaOf,
  start,
  stateFolder,
} from "./run-command.ts";

let islands: Islands;
let connection: Connection;
let client: Client;
before(async () => {
  islands = await createIslands([1, 2]);
  assert.equal((await run(["rebalance", "--yes"], islands)).status, 0);
  const { port } = JSON.parse(readFileSync(join(stateFolder, "temporal.json"), "utf8")) as { port: number };
  connection = await Connection.connect({ address: `127.0.0.1:${port}` });
  client = new Client({ connection });
});
after(() => connection.close());

/** The summaries of a workflow's commands, by the name of the step; a timer's as "timer". */
async function summaries(workflowId: string): Promise<Record<string, string>> {
  const { events } = await client.workflow.getHandle(workflowId).fetchHistory();
  const found = (events ?? []).flatMap((event): [string, string][] => {
    const summary = event.userMetadata?.summary;
    if (!summary) return [];
    const step = event.activityTaskScheduledEventAttributes?.activityType?.name;
    return [
      [
        step ?? (event.timerStartedEventAttributes ? "timer" : "start"),
        defaultPayloadConverter.fromPayload(summary),
      ],
    ];
  });
  return Object.fromEntries(found);
}

describe("Temporal's page", () => {
  it("says what a rebalance, its moves and their steps are about, and how to steer them", async () => {
    const rebalance = await client.workflow.getHandle("rebalance").describe();
    assert.match((await rebalance.staticSummary())!, /^1 move between 2 islands, [\d.]+ \w+$/);
    const outcome = (await client.workflow.getHandle("rebalance").result()) as RebalanceOutcome;
    const [{ schema, from, to }] = outcome.done as [RebalanceOutcome["done"][number]];
    assert.deepEqual([from, to], [islands.names.a, islands.names.b]);

    const route = `${schema}: ${from} → ${to}`;
    assert.match((await rebalance.staticDetails())!, /shardferry abort rebalance/);
    assert.ok((await rebalance.staticDetails())!.includes(`- ${route}, `));
    const move = await client.workflow.getHandle(`move-${schema}`).describe();
    assert.match((await move.staticSummary())!.replace(route, "ROUTE"), /^ROUTE, [\d.]+ \w+$/);
    const steps = await summaries(`move-${schema}`);
    assert.equal(steps["preflight"], route);
    assert.equal(steps["lock and switch"], route);
  });

  it("describes signals and queries, and what a paused move waits for", async () => {
    // The one that the rebalance has left where it was.
    const shard = (await activeShards(islands.a))[0] === "sh0001" ? 1 : 2;
    const paused = start(
      ["move", `--shard=${shard}`, `--to=${islands.names.b}`, "--activate-on-destination=no", "--wait"],
      islands,
    );
    await paused.prints(/waiting for confirmation/);
    const workflowId = `move-${schemaOf(shard)}`;
    const handle = client.workflow.getHandle(workflowId);
    const metadata = await handle.query<{
      definition: { signalDefinitions: { name: string; description: string }[] };
    }>("__temporal_workflow_metadata");
    const texts = new Map(
      metadata.definition.signalDefinitions.map(({ name, description }) => [name, description]),
    );
    for (const name of ["confirm", "skipLag", "abort"]) assert.ok(texts.get(name), name);
    assert.match((await summaries(workflowId))["timer"]!, /lease/);
    await run(["confirm", workflowId], islands);
    assert.equal((await paused.ended()).status, 0);
  });
});

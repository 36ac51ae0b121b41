import assert from "node:assert/strict";
import { it } from "node:test";

import { list, loadSettings, move, Session, UsageError } from "../../src/index.ts";
import { activeShards, createIslands, userEnvironment } from "./run-command.ts";

it("functions can do what the command line does", async () => {
  const islands = await createIslands([1]);
  const env = userEnvironment(islands.env);
  const settings = await loadSettings({ action: "move", env, skipConfig: true });
  const layout = await list(settings);
  assert.deepEqual(
    layout.islands.map(({ island, shards }) => [island, shards.length]),
    [
      [islands.names.a, 1],
      [islands.names.b, 0],
    ],
  );

  const said: string[] = [];
  const session = await Session.open(settings, (line) => said.push(line));
  try {
    const request = { shard: 1, to: islands.names.b, activateOnDestination: true };
    await assert.rejects(move(session, settings, { ...request, to: "nix" }), UsageError);
    const watch = await move(session, settings, request);
    const steps = new Set<string>();
    for await (const { progress } of watch.snapshots()) if (progress) steps.add(progress.step);
    const outcome = await watch.outcome();
    assert.equal(outcome.kind, "done");
    assert.ok(steps.has("clean up"));
    assert.deepEqual(await activeShards(islands.b), ["sh0001"]);
  } finally {
    await session.close();
  }
});

import assert from "node:assert/strict";
import { it } from "node:test";

import { parseDsn } from "../../src/postgres/islands/dsn.ts";
import { examineIsland } from "../../src/preflight/island.ts";
import { createWorld, resultOf, untilPaused } from "../support/world.ts";
import { contentBefore, expectMoved, expectSound, loadedShard } from "./shard.ts";

it("a move that was terminated from outside is reported by doctor, and the next one cleans up what it left", async () => {
  const world = await createWorld();
  const { a } = world;
  const ledger = await loadedShard(world);
  const before = await contentBefore(world);
  await world.startWorker();
  const first = await world.startMove({ wait: true });
  await untilPaused(first);
  await first.terminate("by an operator");
  const left = await a.rows<{ relreplident: string }>(
    "SELECT relreplident FROM pg_class WHERE oid = 'sh0042.keyless'::regclass",
  );
  assert.deepEqual(left, [{ relreplident: "f" }]);

  const findings = await a.withClient((client) => examineIsland({ ...parseDsn(a.dsn), client } as never));
  const told = findings.find(({ text }) => text.includes("REPLICA IDENTITY"));
  assert.match(
    told?.text ?? "",
    /^table sh0042\.keyless has REPLICA IDENTITY FULL for the move .* ALTER TABLE ONLY sh0042\.keyless REPLICA IDENTITY DEFAULT$/,
  );

  const { leftover } = await resultOf(await world.startMove());
  await expectSound(ledger);
  await expectMoved(world, leftover, before);
  const old = await a.rows<{ relreplident: string }>(
    "SELECT relreplident FROM pg_class WHERE oid = $1::regclass",
    [`${leftover}.keyless`],
  );
  assert.deepEqual(old, [{ relreplident: "d" }]);
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { FaultPoint } from "../../activities/attempt/fault-points.ts";
import { progressQuery } from "../../workflows/signals.ts";
import { waitFor } from "../support/index.ts";
import { without } from "../support/versions.ts";
import { resultOf } from "../support/world.ts";
import {
  closeWay,
  expectOnlyAt,
  leadsBack,
  returnable,
  startRollback,
  survivesGoingBack,
  survivesOnTheWay,
  untilOpen,
} from "./returning-shard.ts";
import { expectSound } from "./shard.ts";

/** While the way back is prepared, opened and closed. */
const ON_THE_WAY: FaultPoint[] = [
  "before prepare way back",
  "after prepare way back",
  "after commit source",
  "before open way back",
  "after open way back",
  "before close way back",
  "after close way back",
];

/** While the shard goes back. */
const GOING_BACK: FaultPoint[] = [
  "before verify",
  "after prepare way back",
  "after set sequences",
  "before commit source",
  "after commit source",
  "after commit destination",
  "before clean up",
  "after clean up",
];

describe("a worker of a way back that is killed with SIGKILL", { concurrency: 4, timeout: 1_800_000 }, () => {
  for (const fault of ON_THE_WAY)
    it(`${fault} is replaced by the next; the shard can go back, and nothing is lost`, () =>
      survivesOnTheWay(fault));

  for (const fault of GOING_BACK)
    it(`${fault} of a rollback is replaced by the next, and nothing is lost`, () => survivesGoingBack(fault));
});

describe("the way back of a move between versions", () => {
  for (const [from, to] of [
    [15, 18],
    [18, 15],
    [17, 14],
    [19, 15],
    [14, 19],
  ] as const)
    it(`leads from PostgreSQL ${to} to ${from}`, { skip: without(from, to) }, () => leadsBack(from, to));
});

it("a rollback waits for the end of the way back before the last", { timeout: 300_000 }, async () => {
  const { world, ledger } = await returnable();
  const worker = await world.startWorker({ fault: "after clean up", mode: "hold" });
  const back = await startRollback(world);
  await worker.reached("after clean up");
  // The way back of the move cannot return its lease, and does not end.
  await world.b.withClient(async (client) => {
    await client.query("BEGIN; LOCK TABLE microsharding.microsharding_leases_");
    worker.goOn();
    await resultOf(back);
    await untilOpen(world, 1);
    const again = await startRollback(world, 1);
    await waitFor(
      async () => /former way back of this shard/.test((await again.query(progressQuery)).waitingFor ?? ""),
      { what: "the rollback to wait" },
    );
    await client.query("ROLLBACK");
    await resultOf(again);
  });
  await untilOpen(world);
  assert.equal(await closeWay(world), "finished");
  await expectSound(ledger);
  await expectOnlyAt(world, world.b);
});

import assert from "node:assert/strict";
import { it } from "node:test";

import { createShard, createWorld, resultOf } from "../support/world.ts";

/** Longer than the heartbeat of the step may take. */
const SECONDS = 11;

it("a statement of deactivate-sql that takes longer than the heartbeat timeout runs only once, and to its end", async () => {
  const world = await createWorld();
  const { a } = world;
  await createShard(a, 42, "CREATE TABLE sh0042.t (id int PRIMARY KEY)");
  await a.rows("CREATE TABLE public.begun (at timestamptz); CREATE TABLE public.calls (name text)");
  await world.startWorker();
  const handle = await world.startMove({
    deactivateSql: `INSERT INTO public.begun VALUES (now()); INSERT INTO public.calls SELECT $1 FROM pg_sleep(${SECONDS})`,
  });
  const { leftover } = await resultOf(handle);
  assert.deepEqual(await a.rows("SELECT name FROM public.calls"), [{ name: `"${leftover}"."t"` }]);
  assert.equal((await a.rows("SELECT FROM public.begun")).length, 1);
  const { events } = await handle.fetchHistory();
  const scheduled = events!.find(
    (event) => event.activityTaskScheduledEventAttributes?.activityType?.name === "clean up",
  );
  const started = events!.find(
    (event) =>
      Number(event.activityTaskStartedEventAttributes?.scheduledEventId) === Number(scheduled!.eventId),
  );
  assert.equal(started!.activityTaskStartedEventAttributes!.attempt, 1);
});

import assert from "node:assert/strict";

import type { WorkflowHandle } from "@temporalio/client";

import type { FaultPoint } from "../../activities/attempt/fault-points.ts";
import { REQUEST_MEMO, TASK_QUEUE } from "../../contract/names.ts";
import { type RollbackInput, rollbackWorkflowId, wayBackWorkflowId } from "../../contract/way-back.ts";
import { type Major, startPostgres } from "../../src/sandbox/index.ts";
import type { rollback, wayBack } from "../../workflows/index.ts";
import { progressQuery } from "../../workflows/signals.ts";
import { CachingClients } from "../support/caching-clients.ts";
import { expectNoLeftovers, waitFor } from "../support/index.ts";
import { Ledger } from "../support/ledger.ts";
import { activePlaces, createShard, createWorld, resultOf, type World } from "../support/world.ts";
import { expectSound } from "./shard.ts";

export const HOUR = 3_600_000;

/** A shard with every kind of thing that the old copy needs on the way back. */
export const SHARD = `
  ${Ledger.tableSql("sh0042")};
  ${CachingClients.tableSql("sh0042")};
  CREATE TABLE sh0042.large (id bigserial PRIMARY KEY, a text);
  INSERT INTO sh0042.large (a) SELECT md5(i::text) FROM generate_series(1, 2000) i;
  CREATE TABLE sh0042.keyless (a int, b text);
  INSERT INTO sh0042.keyless SELECT i, 'x' FROM generate_series(1, 50) i;
  CREATE SEQUENCE sh0042.ids INCREMENT 10 CACHE 50;
  SELECT nextval('sh0042.ids') FROM generate_series(1, 60);
  CREATE SEQUENCE sh0042.unused;
  CREATE SEQUENCE sh0042.small AS smallint MINVALUE 5 MAXVALUE 50 START 7 CYCLE;
  CREATE MATERIALIZED VIEW sh0042.summary AS SELECT count(*) FROM sh0042.keyless;
  CREATE FUNCTION sh0042.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.b := NEW.b || ''!''; RETURN NEW; END';
  CREATE TRIGGER touch BEFORE UPDATE ON sh0042.keyless FOR EACH ROW EXECUTE FUNCTION sh0042.touch();
  ALTER TABLE sh0042.keyless ENABLE ALWAYS TRIGGER touch;
  COMMENT ON SCHEMA sh0042 IS 'a comment of somebody'`;

export async function loaded(world: World, rate = 50): Promise<Ledger> {
  await createShard(world.a, 42, SHARD);
  const ledger = new Ledger({ islands: [world.a.dsn, world.b.dsn], shard: 42, schema: "sh0042", rate });
  await ledger.start();
  return ledger;
}

export const wayOf = (world: World, turn: 0 | 1 = 0, schema = "sh0042"): WorkflowHandle<typeof wayBack> =>
  world.client.workflow.getHandle<typeof wayBack>(wayBackWorkflowId(schema, turn));

/** Waits until a way back is open. */
export const untilOpen = (world: World, turn: 0 | 1 = 0): Promise<unknown> =>
  waitFor(
    async () => {
      const { step } = await wayOf(world, turn).query(progressQuery);
      return step === "keep way back";
    },
    { what: "the way back to be open", timeout: 90_000 },
  );

/** Starts a rollback on the way back of this turn. */
export async function startRollback(
  world: World,
  turn: 0 | 1 = 0,
  { schema = "sh0042", ...options }: Partial<RollbackInput> = {},
): Promise<WorkflowHandle<typeof rollback>> {
  const { workflowId, runId, memo } = await wayOf(world, turn, schema).describe();
  const request: RollbackInput = {
    ...(memo![REQUEST_MEMO] as RollbackInput),
    wayBack: { workflowId, runId },
    ...options,
  };
  return world.client.workflow.start<typeof rollback>("rollback", {
    workflowId: rollbackWorkflowId(schema),
    taskQueue: TASK_QUEUE,
    args: [request],
    memo: { [REQUEST_MEMO]: request },
  });
}

/** What a copy of the shard has besides the rows that the writers write. */
export async function shapeOf(database: World["a"]): Promise<object> {
  const [row] = await database.rows<{ shape: object }>(
    `SELECT json_build_object(
       'comment', obj_description('sh0042'::regnamespace, 'pg_namespace'),
       'triggers', (SELECT json_agg(concat_ws(' ', tgrelid::regclass, tgname, tgenabled) ORDER BY tgname) FROM pg_trigger t
          JOIN pg_class c ON c.oid = t.tgrelid WHERE c.relnamespace = 'sh0042'::regnamespace AND NOT tgisinternal),
       'functions', (SELECT json_agg(proname ORDER BY 1) FROM pg_proc WHERE pronamespace = 'sh0042'::regnamespace),
       'sequences', (SELECT json_agg((c.relname, s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmax, s.seqmin, s.seqcycle)::text ORDER BY c.relname)
          FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid WHERE c.relnamespace = 'sh0042'::regnamespace),
       'identity', (SELECT relreplident FROM pg_class WHERE oid = 'sh0042.keyless'::regclass),
       'summary', (SELECT * FROM sh0042.summary),
       'keyless', (SELECT string_agg(x::text, ',' ORDER BY x::text) FROM sh0042.keyless x),
       'large', (SELECT md5(string_agg(x::text, ',' ORDER BY id)) FROM sh0042.large x)) AS shape`,
  );
  return row!.shape;
}

/** Asserts that shard 42 is active in one database only, and that nothing but schemas remains. */
export async function expectOnlyAt(world: World, place: World["a"]): Promise<void> {
  assert.deepEqual(await activePlaces("sh0042", world.a, world.b), [place.name]);
  await expectNoLeftovers(world.a, world.b);
}

/** Closes the way back of this turn, and returns how it ended. */
export async function closeWay(world: World, turn: 0 | 1 = 0): Promise<string> {
  await wayOf(world, turn).signal("finish");
  return (await resultOf(wayOf(world, turn))).end;
}

/** A worker dies at a point of a move and its way back; the next one goes on, and the shard can go back. */
export async function survivesOnTheWay(fault: FaultPoint): Promise<void> {
  const world = await createWorld();
  const ledger = await loaded(world);
  const worker = await world.startWorker({ fault });
  const handle = await world.startMove({ reversibleMs: HOUR });
  const closing = fault.endsWith("close way back");
  if (closing) {
    await resultOf(handle);
    await untilOpen(world);
    await wayOf(world).signal("finish");
  }
  await worker.gone();
  await world.startWorker();
  await resultOf(handle);
  if (closing) {
    assert.equal((await resultOf(wayOf(world))).end, "finished");
    await expectSound(ledger);
    return expectOnlyAt(world, world.b);
  }
  await untilOpen(world);
  await resultOf(await startRollback(world));
  await expectReturned(world, ledger);
}

/** A shard whose way back is open, and whose worker is gone. */
export async function returnable(): Promise<{ world: World; ledger: Ledger }> {
  const world = await createWorld();
  const ledger = await loaded(world);
  const first = await world.startWorker();
  await resultOf(await world.startMove({ reversibleMs: HOUR }));
  await untilOpen(world);
  await first.kill();
  return { world, ledger };
}

/** A worker dies at a point of a rollback; the next one finishes it. */
export async function survivesGoingBack(fault: FaultPoint): Promise<void> {
  const { world, ledger } = await returnable();
  const worker = await world.startWorker({ fault });
  const handle = await startRollback(world);
  await worker.gone();
  await world.startWorker();
  await resultOf(handle);
  await expectReturned(world, ledger);
}

/** A shard moves from one version to another, and goes back. */
export async function leadsBack(from: Major, to: Major): Promise<void> {
  const world = await createWorld({
    servers: {
      a: await startPostgres({ name: `back-${from}-${to}-a`, version: from }),
      b: await startPostgres({ name: `back-${from}-${to}-b`, version: to }),
    },
  });
  const ledger = await loaded(world);
  await world.startWorker();
  await resultOf(await world.startMove({ reversibleMs: HOUR }));
  await untilOpen(world);
  await resultOf(await startRollback(world));
  await untilOpen(world, 1);
  assert.equal(await closeWay(world, 1), "finished");
  await expectSound(ledger);
  await expectOnlyAt(world, world.a);
}

/** Asserts that the shard has gone back, and that nothing remains once the way in the other direction is closed. */
async function expectReturned(world: World, ledger: Ledger): Promise<void> {
  assert.equal((await resultOf(wayOf(world))).end, "rolled back");
  await untilOpen(world, 1);
  assert.equal(await closeWay(world, 1), "finished");
  await expectSound(ledger);
  await expectOnlyAt(world, world.a);
}

import assert from "node:assert/strict";

import type { WorkflowHandle } from "@temporalio/client";
import type { Client } from "pg";

import { expectNoLeftovers, type TestDatabase } from "../support/index.ts";
import { Ledger, type LedgerResult } from "../support/ledger.ts";
import { activePlaces, createShard, type World } from "../support/world.ts";

/** Rows of the large table: enough for catching a step in the middle. */
export const LARGE = 200_000;

/** A shard that has one object of each kind that a crash could leave half done. */
const shardSql = (rows: number): string => `
  ${Ledger.tableSql("sh0042")};
  CREATE INDEX ON sh0042.ledger (at);
  CREATE TABLE sh0042.large (id bigserial PRIMARY KEY, a text, b text, ledger bigint REFERENCES sh0042.ledger);
  INSERT INTO sh0042.large (a, b) SELECT md5(i::text), md5((i + 1)::text) FROM generate_series(1, ${rows}) i;
  CREATE INDEX large_a ON sh0042.large (a);
  CREATE INDEX large_b ON sh0042.large (b);
  CREATE TABLE sh0042.keyless (a int, b text);
  INSERT INTO sh0042.keyless SELECT i, 'x' FROM generate_series(1, 50) i;
  CREATE UNLOGGED TABLE sh0042.unlogged (id int PRIMARY KEY, t text);
  INSERT INTO sh0042.unlogged SELECT i, 'y' FROM generate_series(1, 50) i;
  CREATE SEQUENCE sh0042.ids INCREMENT 10 CACHE 50;
  SELECT nextval('sh0042.ids') FROM generate_series(1, 60);
  CREATE SEQUENCE sh0042.unused;
  CREATE MATERIALIZED VIEW sh0042.summary AS SELECT count(*) FROM sh0042.keyless;
  CREATE FUNCTION sh0042.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
  CREATE TRIGGER touch BEFORE UPDATE ON sh0042.keyless FOR EACH ROW EXECUTE FUNCTION sh0042.touch();
  ALTER TABLE sh0042.keyless ENABLE ALWAYS TRIGGER touch;
  COMMENT ON SCHEMA sh0042 IS 'a comment of somebody';
`;

/** Creates shard 42 on the first island and starts writers that find it wherever it is. */
export async function loadedShard(
  world: World,
  { rows = 1000, rate = 50 }: { rows?: number; rate?: number } = {},
): Promise<Ledger> {
  await createShard(world.a, 42, shardSql(rows));
  const ledger = new Ledger({ islands: [world.a.dsn, world.b.dsn], shard: 42, schema: "sh0042", rate });
  await ledger.start();
  return ledger;
}

/** Everything in a schema that a move must bring along, except for what the writers change. */
async function contentOf(database: Pick<TestDatabase, "rows">, schema: string): Promise<object> {
  const [row] = await database.rows<{ content: object }>(
    `SELECT json_build_object(
       'large', (SELECT md5(string_agg(x::text, ',' ORDER BY id)) FROM ${schema}.large x),
       'keyless', (SELECT string_agg(x::text, ',' ORDER BY a) FROM ${schema}.keyless x),
       'unlogged', (SELECT string_agg(x::text, ',' ORDER BY id) FROM ${schema}.unlogged x),
       'summary', (SELECT * FROM ${schema}.summary),
       'ids', (SELECT (last_value, is_called)::text FROM ${schema}.ids),
       'unused', (SELECT last_value FROM ${schema}.unused WHERE NOT is_called),
       'comment', obj_description('${schema}'::regnamespace, 'pg_namespace'),
       'trigger', (SELECT tgenabled FROM pg_trigger WHERE tgrelid = '${schema}.keyless'::regclass AND tgname = 'touch'),
       'identity', (SELECT relreplident FROM pg_class WHERE oid = '${schema}.keyless'::regclass),
       'indexes', (SELECT count(*) FROM pg_index WHERE indrelid = '${schema}.large'::regclass AND indisvalid)
     ) AS content`,
  );
  return row!.content;
}

/** Asserts that nothing was lost, doubled or failed. */
export async function expectSound(ledger: Ledger): Promise<LedgerResult> {
  const result = await ledger.stop();
  const { lost, doubled, failures } = result;
  assert.deepEqual({ lost, doubled, failures }, { lost: 0, doubled: 0, failures: [] });
  return result;
}

/** Asserts that shard 42 is complete on the second island and only there, and that nothing else remains but the old copy. */
export async function expectMoved(world: World, leftover: string | null, before: object): Promise<void> {
  const { a, b } = world;
  assert.deepEqual(await activePlaces("sh0042", a, b), [b.name]);
  assert.deepEqual(await contentOf(b, "sh0042"), before);
  assert.deepEqual(await schemasOf(a), [leftover]);
  assert.deepEqual(await schemasOf(b), ["sh0042"]);
  await expectNoLeftovers(a, b);
}

/** Asserts that shard 42 is on the first island as if nothing had happened, and that the second is empty. */
export async function expectUntouched(world: World, before: object): Promise<void> {
  const { a, b } = world;
  assert.deepEqual(await activePlaces("sh0042", a, b), [a.name]);
  assert.deepEqual(await contentOf(a, "sh0042"), before);
  assert.deepEqual(await schemasOf(a), ["sh0042"]);
  assert.deepEqual(await schemasOf(b), []);
  await expectNoLeftovers(a, b);
}

/** Asserts that a rehearsal has left shard 42 on the first island as it was, and its copy on the second. */
export async function expectLeftCopy(
  { a, b }: World,
  leftover: string | null,
  before: object,
): Promise<void> {
  assert.match(leftover!, /^sh0042new_\d{14}$/);
  assert.deepEqual(await activePlaces("sh0042", a, b), [a.name]);
  assert.deepEqual(await contentOf(a, "sh0042"), before);
  assert.deepEqual(await contentOf(b, leftover!), before);
  assert.deepEqual(await schemasOf(a), ["sh0042"]);
  assert.deepEqual(await schemasOf(b), [leftover]);
  await expectNoLeftovers(a, b);
}

/** What expectMoved and expectUntouched compare with; if a client is given, as that session's transaction sees it. */
export const contentBefore = ({ a }: World, client?: Client): Promise<object> =>
  contentOf(
    client ? { rows: async <Row extends object>(sql: string) => (await client.query<Row>(sql)).rows } : a,
    "sh0042",
  );

async function schemasOf(database: TestDatabase): Promise<string[]> {
  const rows = await database.rows<{ name: string }>(
    "SELECT nspname AS name FROM pg_namespace WHERE nspname LIKE 'sh0%' ORDER BY 1",
  );
  return rows.map((row) => row.name);
}

/** How many times a step has begun: more than once after a crash during it. */
export async function attemptsOf(handle: WorkflowHandle, step: string): Promise<number> {
  const { events } = await handle.fetchHistory();
  const scheduled = (events ?? []).filter(
    (event) => event.activityTaskScheduledEventAttributes?.activityType?.name === step,
  );
  const ids = new Set(scheduled.map((event) => String(event.eventId)));
  const started = (events ?? [])
    .map((event) => event.activityTaskStartedEventAttributes)
    .filter((start) => start && ids.has(String(start.scheduledEventId)));
  return Math.max(0, ...started.map((start) => start!.attempt ?? 0));
}

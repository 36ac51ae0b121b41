import type pg from "pg";
import type { ClientBase } from "pg";

import { groupBy } from "../../../src/group-by.ts";
import { COPY_SETTINGS } from "../../../src/postgres/islands/session-settings.ts";
import { ident, qualified } from "../../../src/postgres/quote.ts";
import { dropSlots, slotError } from "../../../src/postgres/replication/objects.ts";
import { keyStatements, placed, type Statement } from "../../../src/postgres/schema/dump-statements.ts";
import type { Table } from "../../../src/postgres/schema/tables.ts";
import { inLanes, lanesFor } from "../../attempt/lanes.ts";
import { type Copied, copied, CopyProgress } from "./copy-progress.ts";
import { copyRows } from "./copy-rows.ts";
import { ensureOwnCopy } from "./half-made-copy.ts";
import { oldestTransaction, publishedTables } from "./publication.ts";
import type { MoveStep } from "./step.ts";
import { structureOf } from "./structure.ts";
import { createSubscription, isSubscribed } from "./subscription.ts";

/** From this size on, tables are truncated first so that COPY may freeze the rows: saves a second write for hint bits. */
const FREEZE_BYTES = 4 << 20;

/**
 * Copies the rows through this process under the snapshot that the slot exports, and subscribes without
 * copying. For shards that can be copied again within seconds: after a crash the copy starts over. PostgreSQL's
 * tablesync costs about 26 ms per table, whatever is in it (300 tables: 7.9 s instead of 0.36 s).
 */
export async function copyDirectly(step: MoveStep): Promise<Copied> {
  const tables = await publishedTables(step);
  if (await isSubscribed(step)) return copiedBefore(step, tables);
  await Promise.all([step.endOrphans(step.from), step.endOrphans(step.to)]);
  const keys = keyStatements((await structureOf(step)).postData);
  const progress = new CopyProgress(tables);
  await step.sessions([{ replication: true }, {}], [], async ([walsender, client]) => {
    await Promise.all([
      step.attempt.ensureCurrent().then(() => dropSlots(client!, step.replicationName, null)),
      step.onDestination((own) => ensureOwnCopy(step, own)),
    ]);
    const snapshot = await exportSnapshot(step, walsender!);
    await step.watched(
      step.to,
      () => Promise.resolve(progress.look()),
      (onBackend) => copyInLanes(step, tables, keys, snapshot, progress, onBackend),
    );
  });
  // A later attempt has only this to tell what was copied.
  step.beat(progress.look());
  // Its commit waits for the disk, and so makes durable everything that the lanes have committed without waiting.
  const sql = await createSubscription(step, tables, false);
  const { rows, bytes } = progress;
  return { text: copied(rows, bytes), rows, bytes, sql: sql ? [sql] : [] };
}

/** What an earlier attempt has copied: the rows that are there, and the bytes that it reported for that many rows. */
async function copiedBefore(step: MoveStep, tables: readonly Table[]): Promise<Copied> {
  const names = tables.map((table) => qualified(step.schema, table.name));
  const { rows: found } = await step.onDestination((client) =>
    client.query<{ rows: string; bytes: string }>(
      `SELECT coalesce(sum(pg_stat_get_tuples_inserted(name::regclass)), 0) AS rows,
         coalesce(sum(pg_table_size(name::regclass)), 0) AS bytes
       FROM unnest($1::text[]) AS name`,
      [names],
    ),
  );
  const rows = Number(found[0]?.rows);
  const told = step.attempt.lastBeat.reached;
  const bytes = told?.rows ? Math.round((rows * told.copiedBytes!) / told.rows) : Number(found[0]?.bytes);
  return { text: "rows were copied by an earlier attempt", rows, bytes };
}

/** Creates the slot; its snapshot remains valid as long as this session does nothing else. */
async function exportSnapshot(step: MoveStep, walsender: pg.Client): Promise<string> {
  const { rows } = await step.watched(step.from, oldestTransaction, (onBackend) => {
    onBackend(walsender);
    // The old grammar, which every version from 14 to 18 understands.
    return walsender
      .query<{ snapshot_name: string }>(
        `CREATE_REPLICATION_SLOT ${ident(step.replicationName)} LOGICAL pgoutput EXPORT_SNAPSHOT`,
      )
      .catch((error: Error) => Promise.reject(slotError(error)));
  });
  return rows[0]!.snapshot_name;
}

/** Several pairs of connections take tables from one queue, the largest first. */
async function copyInLanes(
  step: MoveStep,
  tables: readonly Table[],
  keys: readonly Statement[],
  snapshot: string,
  progress: CopyProgress,
  onBackend: (client: ClientBase) => void,
): Promise<void> {
  const largestFirst = [...tables].sort((a, b) => b.bytes - a.bytes);
  const made = await step.onDestination((client) => readMade(client, step.schema));
  const keysOf = groupBy(
    keys.filter((key) => !made.keys.has(key.name ?? "")),
    (key) => key.relation,
  );
  const bytes = tables.reduce((sum, table) => sum + table.bytes, 0);
  await inLanes(lanesFor(tables.length, bytes), largestFirst, (queue) =>
    step.bothSides(
      { settings: COPY_SETTINGS },
      { settings: { ...COPY_SETTINGS, synchronous_commit: "off" }, pgOptions: step.attempt.deps.pgOptions },
      async (source, destination) => {
        onBackend(destination);
        // By now another worker may have taken over this step and copied the tables.
        await step.attempt.ensureCurrent();
        for (const table of queue) {
          step.attempt.throwIfCancelled();
          const { name } = table;
          const one = { table, keys: keysOf.get(name) ?? [], filled: made.filled.has(name), snapshot };
          await copyTable(step, one, source, destination, progress);
        }
      },
    ),
  );
}

/**
 * Copies one table and builds its keys, in one transaction and one round trip per side: with seven round trips, 300 tables
 * took 0.9 s. On the source, too, each table has its own transaction: a TRUNCATE by the application waits for one table
 * at most, and never in a deadlock.
 */
async function copyTable(
  step: MoveStep,
  { table, keys, filled, snapshot }: { table: Table; keys: Statement[]; filled: boolean; snapshot: string },
  source: pg.Client,
  destination: pg.Client,
  progress: CopyProgress,
): Promise<void> {
  const counters = progress.of(table);
  const name = qualified(step.schema, table.name);
  const freeze = table.bytes >= FREEZE_BYTES;
  const { encoding } = step.input.plan;
  const begin = freeze || filled ? `BEGIN; TRUNCATE ONLY ${name}` : "BEGIN";
  const snapshotted = `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '${snapshot}'`;
  await copyRows(source, destination, { from: name, to: name }, table, { freeze, encoding }, counters, {
    from: (copy) => `${snapshotted}; ${copy}; COMMIT`,
    to: (copy) => [begin, copy, ...keys.map((statement) => placed(statement)), "COMMIT"].join(";\n"),
  });
  counters.ended = true;
}

/** What an earlier attempt has left on the destination: tables that have been written to, and valid indexes. */
async function readMade(
  client: ClientBase,
  schema: string,
): Promise<{ filled: Set<string>; keys: Set<string> }> {
  const { rows } = await client.query<{ name: string; kind: string }>(
    `SELECT c.relname AS name, c.relkind AS kind
     FROM pg_class c LEFT JOIN pg_index i ON i.indexrelid = c.oid
     WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)
       AND (c.relkind = 'r' AND pg_relation_size(c.oid) > 0 OR c.relkind IN ('i', 'I') AND i.indisvalid)`,
    [schema],
  );
  const named = (tables: boolean): Set<string> =>
    new Set(rows.filter(({ kind }) => (kind === "r") === tables).map(({ name }) => name));
  return { filled: named(true), keys: named(false) };
}

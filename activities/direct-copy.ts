import type pg from "pg";
import type { ClientBase } from "pg";

import { relayCopy } from "../src/postgres/copy-relay.ts";
import { ident, qualified } from "../src/postgres/quote.ts";
import { dropSlots } from "../src/postgres/replication.ts";
import { keyStatements, type Statement } from "../src/postgres/statements.ts";
import type { Table } from "../src/postgres/tables.ts";
import type { Step } from "./context.ts";
import { structureOf } from "./create-structure.ts";
import { ensureOwnCopy } from "./half-made-copy.ts";
import { createSubscription, oldestTransaction, publishedTables } from "./subscribe.ts";
import { type Copied, copied, Rate } from "./tablesync.ts";

/** Connection pairs that copy at the same time, at most. */
const MAX_LANES = 4;
/** Bytes that are worth a lane of their own: opening a pair of connections costs about 10 ms. */
const BYTES_PER_LANE = 16 << 20;
/** From this size on a table is emptied first so that COPY may freeze its rows: no second write for hint bits. */
const FREEZE_BYTES = 4 << 20;

/** Sessions that copy write and read the text format alike, whatever their servers are set to. */
export const TEXT_FORMAT = {
  datestyle: "ISO",
  intervalstyle: "postgres",
  extra_float_digits: "3",
  bytea_output: "hex",
  lc_monetary: "C",
  row_security: "off",
};

interface Counters {
  bytes: number;
  tuples: number;
}

/**
 * Copies the rows through this process under the snapshot that the slot exports, and subscribes without
 * copying. For shards that are copied again in seconds: after a crash the copy starts over. PostgreSQL's
 * tablesync costs about 26 ms a table, whatever is in it (300 tables: 7.9 s against 0.36 s).
 */
export async function copyDirectly(step: Step): Promise<Copied> {
  const tables = await publishedTables(step);
  if (await isSubscribed(step))
    return { ...(await measured(step, tables)), text: "rows were copied by an earlier attempt" };
  await Promise.all([step.endOrphans(step.from), step.endOrphans(step.to)]);
  const keys = keyStatements((await structureOf(step)).postData);
  const counters: Counters = { bytes: 0, tuples: 0 };
  const rate = new Rate();
  await step.sessions([{ replication: true }, {}], [], async ([walsender, client]) => {
    await Promise.all([
      step.ensureCurrent().then(() => dropSlots(client!, step.names.slot, null)),
      step.onDestination((own) => ensureOwnCopy(step, own)),
    ]);
    const snapshot = await exportSnapshot(step, walsender!);
    await step.watched(
      step.to,
      () => Promise.resolve(rate.progress(counters, step)),
      (onBackend) => copyInLanes(step, tables, keys, snapshot, counters, onBackend),
    );
  });
  // Its commit waits for the disk, and with it everything that the lanes have committed without waiting.
  const sql = await createSubscription(step, tables, false);
  return {
    text: copied(counters.tuples, counters.bytes),
    rows: counters.tuples,
    bytes: counters.bytes,
    sql: sql ? [sql] : [],
  };
}

/** The subscription is made when all rows are there: its presence tells that the copy is complete. */
async function isSubscribed(step: Step): Promise<boolean> {
  const { rowCount } = await step.onDestination((client) =>
    client.query(
      `SELECT FROM pg_subscription
       WHERE subname = $1 AND subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())`,
      [step.names.subscription],
    ),
  );
  return rowCount === 1;
}

async function measured(step: Step, tables: readonly Table[]): Promise<{ rows: number; bytes: number }> {
  const names = tables.map((table) => qualified(step.schema, table.name));
  const { rows } = await step.onDestination((client) =>
    client.query<{ rows: string; bytes: string }>(
      `SELECT coalesce(sum(pg_stat_get_tuples_inserted(name::regclass)), 0) AS rows,
         coalesce(sum(pg_table_size(name::regclass)), 0) AS bytes
       FROM unnest($1::text[]) AS name`,
      [names],
    ),
  );
  return { rows: Number(rows[0]?.rows), bytes: Number(rows[0]?.bytes) };
}

/** Creates the slot; its snapshot lives as long as this session does nothing else. */
async function exportSnapshot(step: Step, walsender: pg.Client): Promise<string> {
  const { rows } = await step.watched(step.from, oldestTransaction, (onBackend) => {
    onBackend(walsender);
    // The old grammar, which every version from 14 to 18 understands.
    return walsender.query<{ snapshot_name: string }>(
      `CREATE_REPLICATION_SLOT ${ident(step.names.slot)} LOGICAL pgoutput EXPORT_SNAPSHOT`,
    );
  });
  return rows[0]!.snapshot_name;
}

/** Several pairs of connections take tables from one queue, the largest first. */
async function copyInLanes(
  step: Step,
  tables: readonly Table[],
  keys: readonly Statement[],
  snapshot: string,
  counters: Counters,
  onBackend: (client: ClientBase) => void,
): Promise<void> {
  const queue = [...tables].sort((a, b) => b.bytes - a.bytes);
  const bytes = queue.reduce((sum, table) => sum + table.bytes, 0);
  const lanes = Math.max(1, Math.min(MAX_LANES, queue.length, Math.ceil(bytes / BYTES_PER_LANE)));
  const lane = async (): Promise<void> =>
    step.bothSides(
      { settings: TEXT_FORMAT },
      { settings: { ...TEXT_FORMAT, synchronous_commit: "off" }, pgOptions: step.deps.pgOptions },
      async (source, destination) => {
        onBackend(destination);
        for (let table = queue.shift(); table; table = queue.shift()) {
          step.throwIfCancelled();
          // One transaction a table: a TRUNCATE of the application waits for one table at most, and not in a circle.
          await source.query(
            `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '${snapshot}'`,
          );
          await copyTable(step, table, keys, source, destination, counters);
          await source.query("COMMIT");
        }
      },
    );
  await allOrFirstFailure(Array.from({ length: lanes }, lane), () => (queue.length = 0));
}

/** Waits for all; after the first failure lets the others finish what they are at and throws it. */
async function allOrFirstFailure(work: Promise<void>[], onFailure: () => void): Promise<void> {
  let failure: Error | undefined;
  const note = (error: Error): void => {
    failure ??= error;
    onFailure();
  };
  await Promise.all(work.map((lane) => lane.catch(note)));
  if (failure) throw failure;
}

/** Copies one table and builds its keys, in one transaction on the destination. */
async function copyTable(
  step: Step,
  table: Table,
  keys: readonly Statement[],
  source: pg.Client,
  destination: pg.Client,
  counters: Counters,
): Promise<void> {
  const name = qualified(step.schema, table.name);
  const own = keys.filter((statement) => statement.relation === table.name);
  const present = await keysPresent(destination, name);
  const { rows } = await destination.query<{ filled: boolean }>(
    `SELECT EXISTS (SELECT FROM ONLY ${name}) AS filled`,
  );
  const freeze = table.bytes >= FREEZE_BYTES;
  await destination.query(freeze || rows[0]?.filled ? `BEGIN; TRUNCATE ONLY ${name}` : "BEGIN");
  await copyRows(source, destination, { from: name, to: name }, table, freeze, counters);
  const missing = own.filter((statement) => !present.has(statement.name ?? ""));
  await destination.query([...missing.map((statement) => placed(statement)), "COMMIT"].join(";\n"));
}

/** Copies the rows of one table between two open transactions. Also used under the write lock. */
export async function copyRows(
  source: pg.Client,
  destination: pg.Client,
  name: { from: string; to: string },
  table: Table,
  freeze: boolean,
  counters: Counters,
): Promise<void> {
  const columns = table.columns.length > 0 ? ` (${table.columns.map(ident).join(", ")})` : "";
  const format = table.binarySafe ? "binary" : "text";
  let seen = 0;
  const rows = await relayCopy(
    source,
    `COPY ${name.from}${columns} TO STDOUT (FORMAT ${format})`,
    destination,
    `COPY ${name.to}${columns} FROM STDIN (FORMAT ${format}${freeze ? ", FREEZE" : ""})`,
    (chunk, rowsInIt) => {
      counters.bytes += chunk;
      counters.tuples += rowsInIt;
      seen += rowsInIt;
    },
  );
  // The binary format has a header and a trailer, which look like rows.
  counters.tuples += rows - seen;
}

async function keysPresent(client: ClientBase, table: string): Promise<Set<string>> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT c.relname AS name FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
     WHERE i.indrelid = $1::regclass AND i.indisvalid`,
    [table],
  );
  return new Set(rows.map((row) => row.name));
}

/** A statement with the SETs that say in which tablespace its object goes. */
export const placed = (statement: Statement): string =>
  [...Object.values(statement.settings), statement.sql].join(";\n");

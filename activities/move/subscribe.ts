import type { ClientBase } from "pg";

import type { StepProgress, StepReport } from "../../contract/move.ts";
import { toConninfo } from "../../src/postgres/islands/dsn.ts";
import { NO_TIMEOUTS } from "../../src/postgres/islands/session-settings.ts";
import { withLockRetry } from "../../src/postgres/locks.ts";
import { qualified } from "../../src/postgres/quote.ts";
import { ensureSlot, ensureSubscription, publicationSql } from "../../src/postgres/replication/objects.ts";
import { ensureDurable } from "../../src/postgres/replication/position.ts";
import { recordSql } from "../../src/postgres/replication/replica-identity.ts";
import { readTables, type Table } from "../../src/postgres/schema/tables.ts";
import { ensureOwnCopy } from "./parts/half-made-copy.ts";
import type { Step } from "./parts/step.ts";

/** Milliseconds without a word after which the source takes a destination for dead. */
const WAL_SENDER_TIMEOUT = "300s";

/**
 * Creates the publication, and for PostgreSQL's own tablesync the slot and the subscription, which starts
 * copying. For a direct copy the slot is made by the copy itself, from whose snapshot it reads.
 */
export async function subscribe(step: Step): Promise<StepReport> {
  const { input } = step;
  await step.endOrphans(step.from);
  const tables = await publishedTables(step);
  const done = [
    await step.session(step.from, {}, async (client) => {
      await step.ensureCurrent();
      await setIdentities(step, client, tables);
      return publish(step, client, tables);
    }),
  ];
  if (input.plan.copyMethod === "tablesync") {
    done.push(await createSlot(step), await createSubscription(step, tables, true));
  }
  const sql = done.filter((statement) => statement !== null).map((statement) => shorten(statement));
  return { text: `published ${tables.length} tables on ${step.from}`, sql };
}

/** The tables that are replicated: those with rows of their own, without those copied under the lock. */
export async function publishedTables(step: Step): Promise<Table[]> {
  const locked = new Set(step.input.plan.lockedCopies);
  const tables = await step.onSource((client) => readTables(client, step.schema));
  return tables.filter((table) => table.kind === "r" && !locked.has(table.name));
}

/**
 * Must come before the tables are published, since publishing one without identity fails the application's updates;
 * and after it is recorded what the identities were.
 */
async function setIdentities(step: Step, client: ClientBase, tables: readonly Table[]): Promise<void> {
  const overrides = step.input.plan.identityOverrides;
  if (overrides.length === 0) return;
  const { rowCount } = await client.query("SELECT FROM pg_publication WHERE pubname = $1", [
    step.names.publication,
  ]);
  if (!rowCount) {
    const oids = new Map(tables.map(({ name, oid }) => [name, oid]));
    const known = overrides.flatMap(({ table, was }) => {
      const oid = oids.get(table);
      return oid === undefined || was === "i" ? [] : [{ oid, was }];
    });
    await client.query(recordSql(step.names.publication, known));
  }
  for (const { table } of overrides) {
    const full = `ALTER TABLE ONLY ${qualified(step.schema, table)} REPLICA IDENTITY FULL`;
    await withLockRetry(client, full, step, step.lend(step.from));
  }
}

/** Needs a lock on each table that lets writers through, but no vacuum and no DDL. */
async function publish(step: Step, client: ClientBase, tables: readonly Table[]): Promise<string | null> {
  const sql = await publicationSql(client, step.names.publication, step.schema, tables);
  if (sql) await withLockRetry(client, sql, step, step.lend(step.from));
  return sql;
}

/** Slot creation waits for every transaction that is open on the source's server: says for which. */
async function createSlot(step: Step): Promise<string | null> {
  return step.session(step.from, {}, (session) =>
    step.watched(step.from, oldestTransaction, async (onBackend) => {
      onBackend(session);
      await step.ensureCurrent();
      return ensureSlot(session, step.names.slot);
    }),
  );
}

/** The oldest transactions of the server, for the display while a slot is created. */
export async function oldestTransaction(client: ClientBase): Promise<StepProgress> {
  const { rows } = await client.query<{ text: string }>(
    `SELECT concat_ws(' ', 'pid', pid, usename, 'in', datname, 'open for',
       extract(epoch FROM clock_timestamp() - xact_start)::int || ' s:', left(query, 120)) AS text
     FROM pg_stat_activity
     WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()
     UNION ALL
     SELECT concat_ws(' ', 'prepared transaction', quote_literal(gid), 'of', owner, 'in', database, 'since', prepared)
     FROM pg_prepared_xacts
     LIMIT 3`,
  );
  if (rows.length === 0) return { note: "creating the replication slot" };
  return { waitingFor: `transactions on the source to end: ${rows.map((row) => row.text).join("; ")}` };
}

/** Creates the subscription on the destination. */
export async function createSubscription(
  step: Step,
  tables: readonly Table[],
  copyData: boolean,
): Promise<string | null> {
  const { names, deps, input } = step;
  // The source's sessions of the subscription; options that it does not know would refuse them.
  const settings = {
    ...NO_TIMEOUTS,
    ...(input.plan.source.serverMajor >= 17 && { transaction_timeout: "0" }),
    wal_sender_timeout: WAL_SENDER_TIMEOUT,
  };
  const conninfo = toConninfo(deps.islands.dsn(step.from), {
    application_name: names.subscription,
    connect_timeout: "10",
    keepalives_idle: "10",
    keepalives_interval: "5",
    keepalives_count: "3",
    options: Object.entries(settings)
      .map(([name, value]) => `-c ${name}=${value}`)
      .join(" "),
  });
  return step.session(step.to, {}, async (client) => {
    await Promise.all([step.ensureCurrent(), ensureDurable(client)]);
    await ensureOwnCopy(step, client);
    return ensureSubscription(client, {
      name: names.subscription,
      slot: names.slot,
      publication: names.publication,
      conninfo,
      copyData,
      binary: tables.every((table) => table.binarySafe),
      serverMajor: input.plan.destination.serverMajor,
      superuser: input.plan.destination.superuser,
    });
  });
}

/** Statements go into the history and to the screen: long lists of tables do not. */
export const shorten = (sql: string, length = 400): string =>
  sql.length <= length ? sql : `${sql.slice(0, length)}… (${sql.length} characters)`;

import { setTimeout as sleep } from "node:timers/promises";

import type { ClientBase } from "pg";

import { ShardferryError } from "../../errors.ts";
import { hasSqlstate, SQLSTATE } from "../errors/sqlstate.ts";
import { withLockRetry } from "../locks.ts";
import { ident, literal, qualified } from "../quote.ts";
import type { Table } from "../schema/tables.ts";
import { DATABASE_OID, SYSTEM_IDENTIFIER } from "../server.ts";
import { overriddenTables, publishersOf, restoreUnlessNeededSql } from "./replica-identity.ts";

/** The statement that publishes the given tables, each by itself (ONLY); null if they are already published. */
export async function publicationSql(
  client: ClientBase,
  name: string,
  schema: string,
  tables: readonly Table[],
): Promise<string | null> {
  const { rows } = await client.query<{ filled: boolean }>(
    `SELECT EXISTS (SELECT FROM pg_publication_rel WHERE prpubid = p.oid) AS filled FROM pg_publication p WHERE pubname = $1`,
    [name],
  );
  const list = tables.map((table) => `ONLY ${qualified(schema, table.name)}`).join(", ");
  if (!rows[0]) return `CREATE PUBLICATION ${ident(name)}${list && ` FOR TABLE ${list}`}`;
  return rows[0].filled || list === "" ? null : `ALTER PUBLICATION ${ident(name)} ADD TABLE ${list}`;
}

/** All slots of the source are taken. Here this passes, unlike other limits: a move gives its slots back. */
class NoFreeSlotError extends ShardferryError {
  override readonly retryable = true;

  constructor(cause: Error) {
    super("no_free_slot", `${cause.message}: wait for other moves to end, or raise max_replication_slots`, {
      cause,
    });
  }
}

/** What is told of a slot that could not be created. */
export const slotError = (error: Error): Error =>
  hasSqlstate(error, SQLSTATE.configurationLimitExceeded) ? new NoFreeSlotError(error) : error;

/**
 * Creates the slot on the source, before any subscription: within one server, CREATE SUBSCRIPTION would
 * wait for its own transaction forever.
 */
export async function ensureSlot(client: ClientBase, name: string): Promise<string | null> {
  const { rowCount } = await client.query("SELECT FROM pg_replication_slots WHERE slot_name = $1", [name]);
  if (rowCount) return null;
  try {
    await client.query("SELECT pg_create_logical_replication_slot($1, 'pgoutput')", [name]);
  } catch (error) {
    throw slotError(error as Error);
  }
  return `SELECT pg_create_logical_replication_slot(${literal(name)}, 'pgoutput')`;
}

export interface SubscriptionOptions {
  /** The name of the subscription, its slot and its publication. */
  name: string;
  /** Connection string of the source as the destination sees it; contains a password. */
  conninfo: string;
  /** True: PostgreSQL copies the rows (tablesync). False: the rows are already there, as of the slot's creation. */
  copyData: boolean;
  binary: boolean;
  /** False: nothing is applied until it is enabled. */
  enabled?: boolean;
  /** Major version of the destination. */
  serverMajor: number;
  /** True if our role on the destination is a superuser. */
  superuser: boolean;
}

/**
 * Runs a command inside the open transaction, with a connection string in place of its `%L`. The string contains a
 * password. It reaches the server as a parameter and is inserted there, so that it is neither in pg_stat_activity
 * nor in pg_stat_statements. Errors are caught and raised again, because the server would log the original
 * together with the text of the command; and in a superuser's session none of this is logged at all.
 */
export async function runWithConninfo(client: ClientBase, command: string, conninfo: string): Promise<void> {
  await client.query(
    `SELECT set_config('log_statement', 'none', true), set_config('log_min_duration_statement', '-1', true),
       set_config('log_min_error_statement', 'panic', true), set_config('log_min_messages', 'fatal', true)
     FROM pg_roles WHERE rolname = current_user AND rolsuper`,
  );
  await client.query("SELECT set_config('shardferry.conninfo', $1, true)", [conninfo]);
  await client.query(
    `DO $shardferry$ BEGIN
       SET LOCAL client_min_messages = error;
       EXECUTE format(${literal(command)}, current_setting('shardferry.conninfo'));
     EXCEPTION WHEN OTHERS THEN
       RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = SQLERRM;
     END $shardferry$`,
  );
}

/** Creates the subscription on the destination, unless it exists. */
export async function ensureSubscription(
  client: ClientBase,
  options: SubscriptionOptions,
): Promise<string | null> {
  const { rowCount } = await client.query(
    `SELECT FROM pg_subscription
     WHERE subname = $1 AND subdbid = ${DATABASE_OID}`,
    [options.name],
  );
  if (rowCount) return null;
  const command = subscriptionSql(options);
  await client.query("BEGIN");
  await runWithConninfo(client, command, options.conninfo);
  await client.query("COMMIT");
  return command.replace("%L", "'…'");
}

/** The CREATE SUBSCRIPTION command as a template for format(); `%L` stands for the connection string. */
function subscriptionSql(options: SubscriptionOptions): string {
  const settings = [
    "create_slot = false",
    `slot_name = ${literal(options.name)}`,
    `copy_data = ${options.copyData}`,
    ...(options.enabled === false ? ["enabled = false"] : []),
    `binary = ${options.binary}`,
    "streaming = on",
    // A tablesync worker records that its table is done and drops its slot. If a crash undid the record but not the
    // dropping of the slot, the table would be stuck ("replication slot … does not exist", forever; seen on 17).
    `synchronous_commit = ${options.copyData ? "local" : "off"}`,
    // FORCE ROW LEVEL SECURITY may bar the owner from tables to which it applies changes.
    ...(options.serverMajor >= 16 ? ["run_as_owner = true"] : []),
    // A superuser may rely on trust or a password file on the server; others have to send a password.
    ...(options.serverMajor >= 16 && options.superuser ? ["password_required = false"] : []),
  ];
  const name = ident(options.name);
  return `CREATE SUBSCRIPTION ${name} CONNECTION %L PUBLICATION ${name} WITH (${settings.join(", ")})`;
}

/**
 * Lets the subscription apply without waiting for the disk. Nothing is lost: until the switch, whose own commit is
 * durable, changes lost in a crash are sent again.
 */
export async function relaxSubscription(client: ClientBase, name: string): Promise<void> {
  await client.query(`ALTER SUBSCRIPTION ${ident(name)} SET (synchronous_commit = off)`);
}

const OWN_SUBSCRIPTION = `
  SELECT oid, 'pg\\_' || oid || '\\_sync\\_%\\_' || ${SYSTEM_IDENTIFIER} AS "syncSlots"
  FROM pg_subscription
  WHERE subname = $1 AND subdbid = ${DATABASE_OID}`;

/**
 * Stops the subscription's workers and detaches it from its slot, so that it can be dropped without the
 * source. Returns the LIKE pattern of the slots that its tablesync workers may leave on the source; null
 * if there is no such subscription.
 */
export async function disableSubscription(client: ClientBase, name: string): Promise<string | null> {
  const { rows } = await client.query<{ syncSlots: string }>(OWN_SUBSCRIPTION, [name]);
  if (!rows[0]) return null;
  await client.query(
    `ALTER SUBSCRIPTION ${ident(name)} DISABLE; ALTER SUBSCRIPTION ${ident(name)} SET (slot_name = NONE)`,
  );
  return rows[0].syncSlots;
}

/** The subscriptions of this database whose names begin with `begin`, except `own`: `over`, and those without a worker. */
export async function idleSubscriptions(
  client: ClientBase,
  begin: string,
  own: string,
  over: string | null,
): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT subname AS name FROM pg_subscription
     WHERE subdbid = ${DATABASE_OID}
       AND starts_with(subname, $1) AND subname <> $2
       AND (subname = $3
         OR NOT EXISTS (SELECT FROM pg_stat_subscription s WHERE s.subid = pg_subscription.oid AND s.pid IS NOT NULL))`,
    [begin, own, over],
  );
  return rows.map((row) => row.name);
}

/**
 * The slots of this database whose names begin with `begin`, and their publications, except `own`: `over`, and those
 * that nobody reads.
 */
export async function idlePublishers(
  client: ClientBase,
  begin: string,
  own: string,
  over: string | null,
): Promise<{ slots: string[]; publications: string[] }> {
  const { rows } = await client.query<{ slots: string[]; publications: string[] }>(
    `WITH slot AS (
       SELECT slot_name AS name, active AND slot_name IS DISTINCT FROM $3 AS active FROM pg_replication_slots
       WHERE database = current_database() AND starts_with(slot_name, $1) AND slot_name <> $2
     )
     SELECT
       ARRAY(SELECT name::text FROM slot WHERE NOT active) AS slots,
       ARRAY(SELECT pubname::text FROM pg_publication
             WHERE starts_with(pubname, $1) AND pubname <> $2
               AND pubname NOT IN (SELECT name FROM slot WHERE active)) AS publications`,
    [begin, own, over],
  );
  return rows[0]!;
}

/** Drops a subscription that disableSubscription has detached. */
export async function dropSubscription(client: ClientBase, name: string): Promise<void> {
  await client.query(`DROP SUBSCRIPTION IF EXISTS ${ident(name)}`);
}

/** Runs a statement that needs a lock on live tables. */
export type RunLocked = (sql: string) => Promise<void>;

/**
 * Drops the publication, if it exists, and restores the former replica identity of its tables: after they are no longer
 * published, since without identity their updates would fail, and before the record of it is dropped.
 */
export async function dropPublication(
  client: ClientBase,
  name: string,
  runLocked: RunLocked = (sql) => withLockRetry(client, sql, { pause: sleep, beat: () => undefined }, null),
): Promise<void> {
  const overridden = (await overriddenTables(client, name)).filter(({ publication }) => publication === name);
  const drop = `DROP PUBLICATION IF EXISTS ${ident(name)}`;
  if (overridden.length === 0) return void (await client.query(drop));
  // One at a time: of two that end at once, each would leave the restoring to the other. If something fails, the session
  // is closed, and the lock released with it.
  await runLocked(`SELECT pg_advisory_lock(${ENDING})`);
  for (const table of overridden) {
    const { own, others } = await publishersOf(client, table);
    if (own) await runLocked(`ALTER PUBLICATION ${ident(name)} DROP TABLE ONLY ${table.name}`);
    // If somebody else publishes the table, it must keep its identity, or its updates would fail.
    if (!others) await runLocked(restoreUnlessNeededSql(table));
  }
  await client.query(`${drop}; SELECT pg_advisory_unlock(${ENDING})`);
}

/**
 * The advisory lock under which one publication of a database after the other ends, and its tables get their replica
 * identities back. The number has no meaning, and stays: workers of different versions must exclude each other.
 */
const ENDING = 5318008042;

/**
 * Drops the slot with this name and those that match the LIKE pattern, after ending the walsenders that hold
 * them. A slot that stays active for more than `timeoutMs` is an error, since a slot left behind
 * fills the source's disk.
 */
export async function dropSlots(
  client: ClientBase,
  name: string,
  pattern: string | null,
  timeoutMs = 20_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const { rows } = await client.query<{ slot: string; pid: number | null }>(
      `SELECT slot_name AS slot, active_pid AS pid FROM pg_replication_slots WHERE slot_name = $1 OR slot_name LIKE $2`,
      [name, pattern],
    );
    if (rows.length === 0) return;
    let inUse = false;
    for (const { slot, pid } of rows) {
      if (pid !== null) await client.query("SELECT pg_terminate_backend($1)", [pid]);
      inUse = pid !== null || !(await dropIdleSlot(client, slot)) || inUse;
    }
    if (Date.now() > deadline)
      throw new Error(`replication slots stay in use: ${rows.map((row) => row.slot).join(", ")}`);
    if (inUse) await client.query("SELECT pg_sleep(0.005)");
  }
}

/** Drops a slot; false if it is gone or in use again: then the caller looks once more. */
async function dropIdleSlot(client: ClientBase, slot: string): Promise<boolean> {
  try {
    await client.query("SELECT pg_drop_replication_slot($1)", [slot]);
    return true;
  } catch (error) {
    if (!hasSqlstate(error, SQLSTATE.undefinedObject, SQLSTATE.objectInUse)) throw error;
    return false;
  }
}

import type { ClientBase } from "pg";

import { withLockRetry } from "../../../src/postgres/locks.ts";
import { ident, qualified } from "../../../src/postgres/quote.ts";
import { ensureDurable } from "../../../src/postgres/replication/position.ts";
import { DATABASE_OID, SYSTEM_IDENTIFIER } from "../../../src/postgres/server.ts";
import { publishedTables } from "./publication.ts";
import type { MoveStep } from "./step.ts";

/** Milliseconds for which a table has to be without its slot: one that is about to be recorded as done has none either. */
const SURELY_LOST_MS = 10_000;
/** Milliseconds between two looks. */
const EVERY_MS = 2000;

/**
 * Finds tables that tablesync has lost, and has them copied again. A tablesync worker drops its slot on the source before it
 * commits that its table is done: if the source crashes or the network fails in between, the table stays "copied" and
 * its next workers fail forever, uncounted, since the slot from which they would continue is gone (seen on 17).
 */
export class LostTables {
  #lookedAt = -Infinity;
  #since = new Map<string, number>();

  constructor(readonly step: MoveStep) {}

  /** To be called repeatedly while waiting for tablesync; returns in words what is lost. */
  async look(): Promise<string | null> {
    const now = performance.now();
    if (now - this.#lookedAt >= EVERY_MS) {
      this.#lookedAt = now;
      const missing = await withoutSlot(this.step);
      this.#since = new Map(missing.map((table) => [table, this.#since.get(table) ?? now]));
      const lost = missing.filter((table) => now - this.#since.get(table)! > SURELY_LOST_MS);
      if (lost.length > 0) await copyAnew(this.step, await readWanted(this.step), lost);
    }
    const tables = [...this.#since.keys()];
    return tables.length === 0
      ? null
      : `tablesync, which has lost its slots on ${this.step.from} for ${tables.join(", ")}; tables that stay without one are copied again`;
  }
}

/** The tables that are copied but not yet in step, and whose slot the source no longer has. */
async function withoutSlot(step: MoveStep): Promise<string[]> {
  const { rows } = await step.onDestination((client) =>
    client.query<{ table: string; slot: string }>(
      `SELECT c.relname AS table,
         concat('pg_', s.oid, '_sync_', r.srrelid, '_', ${SYSTEM_IDENTIFIER}) AS slot
       FROM pg_subscription s JOIN pg_subscription_rel r ON r.srsubid = s.oid JOIN pg_class c ON c.oid = r.srrelid
       WHERE s.subname = $1 AND r.srsubstate = 'f'
         AND s.subdbid = ${DATABASE_OID}`,
      [step.replicationName],
    ),
  );
  if (rows.length === 0) return [];
  const { rows: there } = await step.onSource((client) =>
    client.query<{ slot: string }>(
      "SELECT slot_name AS slot FROM pg_replication_slots WHERE slot_name = ANY ($1)",
      [rows.map(({ slot }) => slot)],
    ),
  );
  return rows.filter(({ slot }) => !there.some((one) => one.slot === slot)).map(({ table }) => table);
}

/**
 * Completes the work of an attempt that died while it had tables copied again: some are not published, or not subscribed
 * to. Its sessions have to be ended first. Returns how many tables have to get in step.
 */
export async function resumeCopyAnew(step: MoveStep): Promise<number> {
  const wanted = await readWanted(step);
  const published = await step.onSource((client) => readPublished(step, client));
  const subscribed = await step.onDestination((client) => readSubscribed(step, client));
  const whole = wanted.every((table) => published.has(table) && subscribed.has(table));
  if (!whole) await copyAnew(step, wanted, []);
  return wanted.length;
}

/**
 * Removes tables from the publication and so from the subscription, empties them, and adds them again, which has them
 * copied. It looks up how much of this an earlier attempt has done: a table that is subscribed to but not published would
 * count as done, but lack writes.
 */
async function copyAnew(step: MoveStep, wanted: readonly string[], lost: readonly string[]): Promise<void> {
  // With a sign of life meanwhile: REFRESH waits for workers and for the source.
  await step.attempt.reading(step.from, () =>
    step.bothSides({}, {}, async (source, destination) => {
      await Promise.all([step.attempt.ensureCurrent(), ensureDurable(source), ensureDurable(destination)]);
      await takeOut(step, source, lost);
      await step.attempt.deps.fault("after unpublish");
      await refresh(step, destination);
      await putBack(step, source, destination, wanted);
      await step.attempt.deps.fault("after publish again");
      await refresh(step, destination);
    }),
  );
}

async function takeOut(step: MoveStep, source: ClientBase, lost: readonly string[]): Promise<void> {
  const published = await readPublished(step, source);
  const leaving = lost.filter((table) => published.has(table));
  if (leaving.length === 0) return;
  const sql = `ALTER PUBLICATION ${ident(step.replicationName)} DROP TABLE ${listOf(step, leaving)}`;
  await withLockRetry(source, sql, step.attempt, step.attempt.lend(step.from));
}

/** Empties the tables that are not subscribed to, and publishes those that are not published. */
async function putBack(
  step: MoveStep,
  source: ClientBase,
  destination: ClientBase,
  wanted: readonly string[],
): Promise<void> {
  const subscribed = await readSubscribed(step, destination);
  const empty = wanted.filter((table) => !subscribed.has(table));
  await step.attempt.deps.fault("before truncate");
  if (empty.length > 0)
    await withLockRetry(
      destination,
      `TRUNCATE ${listOf(step, empty)}`,
      step.attempt,
      step.attempt.lend(step.to),
    );
  const published = await readPublished(step, source);
  const coming = wanted.filter((table) => !published.has(table));
  if (coming.length === 0) return;
  const tables = listOf(step, coming);
  // No transaction that has written to them may span this: before the minor releases of May 2025, the walsender would
  // from then on treat the tables as not published.
  const sql = `LOCK TABLE ${tables} IN SHARE ROW EXCLUSIVE MODE; ALTER PUBLICATION ${ident(step.replicationName)} ADD TABLE ${tables}`;
  await withLockRetry(source, sql, step.attempt, step.attempt.lend(step.from));
}

const listOf = ({ schema }: MoveStep, tables: readonly string[]): string =>
  tables.map((table) => `ONLY ${qualified(schema, table)}`).join(", ");

const refresh = (step: MoveStep, destination: ClientBase): Promise<unknown> =>
  destination.query(`ALTER SUBSCRIPTION ${ident(step.replicationName)} REFRESH PUBLICATION`);

/** The names of the tables that have to be published and subscribed to. */
const readWanted = async (step: MoveStep): Promise<string[]> =>
  (await step.attempt.reading(step.from, () => publishedTables(step))).map(({ name }) => name);

async function readPublished(step: MoveStep, client: ClientBase): Promise<Set<string>> {
  const { rows } = await client.query<{ name: string }>(
    "SELECT tablename AS name FROM pg_publication_tables WHERE pubname = $1 AND schemaname = $2",
    [step.replicationName, step.schema],
  );
  return new Set(rows.map(({ name }) => name));
}

async function readSubscribed(step: MoveStep, client: ClientBase): Promise<Set<string>> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT c.relname AS name
     FROM pg_subscription s JOIN pg_subscription_rel r ON r.srsubid = s.oid JOIN pg_class c ON c.oid = r.srrelid
     WHERE s.subname = $1 AND s.subdbid = ${DATABASE_OID}`,
    [step.replicationName],
  );
  return new Set(rows.map(({ name }) => name));
}

import type { ClientBase } from "pg";

import type { IslandName } from "../../../contract/names.ts";
import { ShardferryError } from "../../../src/errors.ts";
import { TIMELINE } from "../../../src/postgres/server.ts";
import { ensureOwnCopy } from "./half-made-copy.ts";
import type { SwitchFacts } from "./source-facts.ts";
import type { MoveStep } from "./step.ts";

/** The destination lacks changes of the source; switching would lose them. */
class NotReplicatedError extends ShardferryError {
  constructor({ schema }: MoveStep, island: IslandName, what: string, tables: readonly string[]) {
    super(
      "not_replicated",
      `on ${island} the ${what} of "${schema}" does not keep these tables in step: ${tables.join(", ")}; ` +
        `somebody has dropped or changed the ${what} or the tables there. Nothing was switched; run the move again`,
    );
  }
}

/** The destination is no longer the server that confirmed to the source which changes it had applied. */
class FailedOverError extends ShardferryError {
  constructor({ schema, to }: MoveStep) {
    super(
      "failed_over",
      `${to} has been failed over or restored since the move of "${schema}" began, and may lack changes that the source does ` +
        `not send again; bring the former server back, or run the move again`,
    );
  }
}

/**
 * Makes sure that the destination still has all changes that it has confirmed: a replica of it may lack some, and the
 * slot on the source has advanced past them. Call it in the session of the switch, which would not survive a failover.
 */
export async function ensureNotFailedOver(step: MoveStep, destination: ClientBase): Promise<void> {
  const { rowCount } = await destination.query(`SELECT WHERE ${TIMELINE} = $1`, [
    step.input.plan.destination.timeline,
  ]);
  if (!rowCount) throw new FailedOverError(step);
}

/** Makes sure, in the transaction of the switch, that every table is the one that was copied and is in step. */
export async function ensureReplicated(
  step: MoveStep,
  facts: SwitchFacts,
  destination: ClientBase,
): Promise<void> {
  await ensureOwnCopy(step, destination);
  const missing = await replicatedWithout(step, facts, destination, SUBSCRIBED, step.replicationName);
  if (missing.length > 0) throw new NotReplicatedError(step, step.to, "subscription", missing);
}

const SUBSCRIBED = `
  SELECT FROM pg_subscription s
  JOIN pg_subscription_rel r ON r.srsubid = s.oid AND r.srsubstate = 'r'
  JOIN pg_class c ON c.oid = r.srrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE s.subname = $2 AND n.nspname = $3 AND c.relname = name`;

/**
 * Makes sure that the source sends all changes of every table. The destination would not notice: a table that was removed
 * from the publication still counts as in step there, but lacks writes. No table can be removed under the write lock.
 */
export async function ensurePublished(step: MoveStep, facts: SwitchFacts, source: ClientBase): Promise<void> {
  const missing = await replicatedWithout(step, facts, source, PUBLISHED, step.replicationName);
  if (missing.length > 0) throw new NotReplicatedError(step, step.from, "publication", missing);
}

// Row filters and column lists exist since PostgreSQL 15.
const PUBLISHED = `
  SELECT FROM pg_publication p
  JOIN pg_publication_rel r ON r.prpubid = p.oid
  JOIN pg_class c ON c.oid = r.prrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE p.pubname = $2 AND n.nspname = $3 AND c.relname = name
    AND p.pubinsert AND p.pubupdate AND p.pubdelete AND p.pubtruncate AND NOT p.pubviaroot
    AND to_jsonb(r) ->> 'prqual' IS NULL AND to_jsonb(r) ->> 'prattrs' IS NULL`;

/** The replicated tables for which a subquery finds no row. */
async function replicatedWithout(
  step: MoveStep,
  { tables }: SwitchFacts,
  client: ClientBase,
  subquery: string,
  replication: string,
): Promise<string[]> {
  const locked = new Set(step.input.plan.lockedCopies);
  const names = tables.filter(({ name, kind }) => kind === "r" && !locked.has(name)).map(({ name }) => name);
  const { rows } = await client.query<{ name: string }>(
    `SELECT name FROM unnest($1::text[]) AS name WHERE NOT EXISTS (${subquery})`,
    [names, replication, step.schema],
  );
  return rows.map(({ name }) => name);
}

import type { ClientBase } from "pg";

import type { IslandName } from "../../../contract/names.ts";
import { ShardferryError } from "../../../src/errors.ts";
import { literal } from "../../../src/postgres/quote.ts";
import { schemaCommentSql } from "../../../src/postgres/schema/tables.ts";
import { TIMELINE } from "../../../src/postgres/server.ts";
import { rowsOfEach } from "../../../src/postgres/session.ts";
import { ensureOwnMark } from "./half-made-copy.ts";
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

/** Something that a server is asked, alone or with others in one round trip. `verify` throws if the answer is a wrong one. */
export interface Check {
  sql: string;
  verify(rows: readonly Record<string, unknown>[]): void;
}

/** Makes sure, in the transaction of the switch, that every table is the one that was copied and is in step. */
export async function ensureReplicated(
  step: MoveStep,
  facts: SwitchFacts,
  destination: ClientBase,
): Promise<void> {
  const checks = replicatedChecks(step, facts);
  const answers = await rowsOfEach(
    destination,
    checks.map(({ sql }) => sql),
  );
  checks.forEach(({ verify }, i) => verify(answers[i]!));
}

/** The checks of `ensureReplicated`. */
export const replicatedChecks = (step: MoveStep, facts: SwitchFacts): Check[] => [
  {
    sql: schemaCommentSql(step.schema),
    verify: ([row]) => ensureOwnMark(step, (row?.["comment"] ?? null) as string | null),
  },
  {
    sql: replicatedWithout(step, facts, SUBSCRIBED, "s.subname"),
    verify: (rows) => none(rows, (missing) => new NotReplicatedError(step, step.to, "subscription", missing)),
  },
];

const SUBSCRIBED = `
  FROM pg_subscription s
  JOIN pg_subscription_rel r ON r.srsubid = s.oid AND r.srsubstate = 'r'
  JOIN pg_class c ON c.oid = r.srrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace`;

/**
 * Makes sure that the source sends all changes of every table. The destination would not notice: a table that was removed
 * from the publication still counts as in step there, but lacks writes. No table can be removed under the write lock.
 */
export async function ensurePublished(step: MoveStep, facts: SwitchFacts, source: ClientBase): Promise<void> {
  const { sql, verify } = publishedCheck(step, facts);
  verify((await source.query<Record<string, unknown>>(sql)).rows);
}

/** The check of `ensurePublished`. */
export const publishedCheck = (step: MoveStep, facts: SwitchFacts): Check => ({
  sql: replicatedWithout(step, facts, published(step.input.plan.source.serverMajor), "p.pubname"),
  verify: (rows) => none(rows, (missing) => new NotReplicatedError(step, step.from, "publication", missing)),
});

const published = (serverMajor: number): string => `
  FROM pg_publication p
  JOIN pg_publication_rel r ON r.prpubid = p.oid
    AND p.pubinsert AND p.pubupdate AND p.pubdelete AND p.pubtruncate AND NOT p.pubviaroot
    ${serverMajor >= 15 ? "AND r.prqual IS NULL AND r.prattrs IS NULL" : ""}
  JOIN pg_class c ON c.oid = r.prrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace`;

/** A query for the replicated tables that are not among those of the replication. */
function replicatedWithout(
  step: MoveStep,
  { tables }: SwitchFacts,
  among: string,
  nameColumn: string,
): string {
  const locked = new Set(step.input.plan.lockedCopies);
  const names = tables.filter(({ name, kind }) => kind === "r" && !locked.has(name)).map(({ name }) => name);
  // One constant, however many tables: each constant of a list would be parsed and planned under the lock.
  return `SELECT name FROM json_array_elements_text(${literal(JSON.stringify(names))}) AS name
    EXCEPT
    SELECT c.relname::text ${among}
    WHERE ${nameColumn} = ${literal(step.replicationName)} AND n.nspname = ${literal(step.schema)}
    ORDER BY 1`;
}

function none(rows: readonly Record<string, unknown>[], error: (names: string[]) => Error): void {
  if (rows.length > 0) throw error(rows.map(({ name }) => String(name)));
}

import type pg from "pg";
import type { ClientBase } from "pg";

import type { StepReport } from "../../contract/progress.ts";
import { plural, shorten } from "../../src/format.ts";
import { hasSqlstate, SQLSTATE } from "../../src/postgres/errors/sqlstate.ts";
import { ident, qualified } from "../../src/postgres/quote.ts";
import { undoDefaultPrivileges } from "../../src/postgres/schema/default-privileges.ts";
import { grants, placed, type Statement } from "../../src/postgres/schema/dump-statements.ts";
import { existingObjects, keyOf, relationKey } from "../../src/postgres/schema/existing-objects.ts";
import { readInvalidIndexes } from "../../src/postgres/schema/invalid-indexes.ts";
import { readLateKeys } from "../../src/postgres/schema/late-keys.ts";
import { readTables } from "../../src/postgres/schema/tables.ts";
import { canBeNotValid, readUnvalidatedKeys } from "../../src/postgres/schema/unvalidated-keys.ts";
import { inLanes, lanesFor } from "../attempt/lanes.ts";
import { flushDestination } from "./parts/flush-destination.ts";
import type { MoveStep } from "./parts/step.ts";
import { structureOf } from "./parts/structure.ts";

/** Statements per round trip. */
const BATCH = 200;
/** What an index costs in any case, as far as the percentage is concerned. */
const BYTES_OF_AN_INDEX = 1 << 16;

/**
 * Runs the post-data section of the dump: indexes and constraints on several connections, the largest
 * table first, then foreign keys, triggers, rules, policies and the rest in the order of the dump.
 */
export async function buildIndexes(step: MoveStep): Promise<StepReport> {
  await step.endOrphans(step.to);
  const { preData, postData } = await structureOf(step);
  const { tables, relations } = await step.attempt.reading(step.to, () =>
    step.onDestination(async (client) => {
      // These would count as existing.
      for (const { name } of await readInvalidIndexes(client, step.schema))
        await client.query(`DROP INDEX IF EXISTS ${qualified(step.schema, name)}`);
      return {
        tables: await readTables(client, step.schema),
        relations: await existingObjects(client, step.schema),
      };
    }),
  );
  const size = new Map(tables.map((table) => [table.name, table.bytes]));
  const indexes = postData
    .filter((statement) => isIndex(statement) && relations.has(relationKey(statement.relation)))
    .sort((a, b) => (size.get(b.relation ?? "") ?? 0) - (size.get(a.relation ?? "") ?? 0));
  const missing = indexes.filter((statement) => !relations.has(keyOf(statement)));
  if (missing.length > 0) await buildInLanes(step, missing, size);

  const isLate = await lateStatements(step);
  const early = new Set(indexes);
  const rest = postData.filter((statement) => !early.has(statement) && !isLate(statement));
  const partitioned = new Set(tables.filter((table) => table.kind === "p").map((table) => table.name));
  const violated = rest.length > 0 ? await runRest(step, preData, rest, partitioned) : [];
  await flushDestination(step);
  return {
    text:
      `built ${missing.length} indexes and keys, and ${rest.length} further objects` +
      (violated.length > 0 ? `; left NOT VALID, because rows violate them: ${violated.join(", ")}` : ""),
    sql: missing.slice(0, 10).map((statement) => shorten(statement.sql, 200)),
  };
}

/** Finds the foreign keys that are left for the switch, and the comments on them. */
async function lateStatements(step: MoveStep): Promise<(statement: Statement) => boolean> {
  const keys = await step.onSource((client) =>
    readLateKeys(client, step.schema, step.input.plan.lockedCopies),
  );
  const late = new Set(keys.map(({ table, name }) => JSON.stringify([table, name])));
  return ({ constraint, node, relation, name }) =>
    (constraint === "foreign" || node === "CommentStmt") && late.has(JSON.stringify([relation, name]));
}

const isIndex = (statement: Statement): boolean =>
  statement.creates === "index" ||
  statement.constraint === "primary" ||
  statement.constraint === "unique" ||
  statement.constraint === "exclusion";

/** Builds the given indexes, each in its own transaction, so that a crash loses only those in progress. */
async function buildInLanes(
  step: MoveStep,
  indexes: readonly Statement[],
  size: ReadonlyMap<string, number>,
): Promise<void> {
  const queue = indexes.toReversed();
  const bytes = [...size.values()].reduce((sum, value) => sum + value, 0);
  const lanes = lanesFor(indexes.length, bytes);
  const weightOf = (table: string | null): number => BYTES_OF_AN_INDEX + (size.get(table ?? "") ?? 0);
  const weightOfAll = (some: readonly Statement[]): number =>
    some.reduce((sum, { relation }) => sum + weightOf(relation), 0);
  const all = weightOfAll(indexes);
  let built = 0;
  await step.watched(
    step.to,
    async (client) => {
      const building = await readBuilding(client, step.replicationName);
      const finished = Math.max(0, indexes.length - queue.length - building.length);
      const halfBuilt = building.reduce((sum, { table, share }) => sum + share * weightOf(table), 0);
      return {
        note: [
          `${finished} of ${plural(indexes.length, "index", "indexes")}`,
          ...building.map(({ table, phase }) => `${qualified(step.schema, table)}: ${phase}`),
        ].join("; "),
        percent: (100 * (built + halfBuilt)) / all,
        sql: building[0]?.sql,
      };
    },
    (onBackend) =>
      inLanes(lanes, batches(queue, size), (taken) =>
        buildSession(step, async (client) => {
          onBackend(client);
          for (const batch of taken) {
            step.attempt.throwIfCancelled();
            await client.query(oneByOne(batch));
            built += weightOfAll(batch);
          }
        }),
      ),
  );
}

/**
 * Many statements for one round trip, each in a transaction of its own: a single one that holds all the locks would
 * stop the apply worker, or end in a deadlock with it.
 */
const oneByOne = (statements: readonly Statement[]): string =>
  statements.map((statement) => `BEGIN;\n${placed(statement)};\nCOMMIT`).join(";\n");

/** Takes statements from the end of the queue: one at a time for large tables, many per round trip for tiny ones. */
function* batches(queue: Statement[], size: ReadonlyMap<string, number>): Generator<Statement[]> {
  const isTiny = (statement: Statement): boolean => (size.get(statement.relation ?? "") ?? 0) < 1 << 20;
  for (let first = queue.pop(); first; first = queue.pop()) {
    const batch = [first];
    while (isTiny(first) && batch.length < BATCH && queue.length > 0) batch.push(queue.pop()!);
    yield batch;
  }
}

async function buildSession<T>(step: MoveStep, use: (client: pg.Client) => Promise<T>): Promise<T> {
  return step.session(
    step.to,
    { pgOptions: step.attempt.deps.pgOptions, settings: { synchronous_commit: "off" } },
    async (client) => {
      await step.attempt.ensureCurrent();
      return use(client);
    },
  );
}

/** An index that is being built. */
interface Building {
  table: string;
  phase: string;
  /** How much of it is built, from 0 to 1; each phase counts its blocks or tuples anew. */
  share: number;
  sql: string;
}

/** The indexes that the sessions of a name are building; other moves build theirs on the same server. */
async function readBuilding(client: ClientBase, sessionName: string): Promise<Building[]> {
  const { rows } = await client.query<Building>(
    `SELECT c.relname AS table, p.phase,
       CASE
         WHEN p.tuples_total > 0 THEN 0.6 + 0.4 * p.tuples_done / p.tuples_total
         WHEN p.phase LIKE '%sorting%' THEN 0.6
         WHEN p.blocks_total > 0 THEN 0.6 * p.blocks_done / p.blocks_total
         ELSE 0
       END::float8 AS share,
       left(a.query, 200) AS sql
     FROM pg_stat_progress_create_index p
     JOIN pg_stat_activity a USING (pid)
     JOIN pg_class c ON c.oid = p.relid
     WHERE a.application_name = $1 AND p.datname = current_database()`,
    [sessionName],
  );
  return rows;
}

/**
 * Runs everything that follows the indexes, in the order of the dump. Foreign keys are created NOT VALID, and
 * validated afterwards if requested: the lock of VALIDATE allows changes to be applied meanwhile.
 */
async function runRest(
  step: MoveStep,
  preData: readonly Statement[],
  rest: readonly Statement[],
  partitioned: ReadonlySet<string>,
): Promise<string[]> {
  const statements = withTriggersDisabled(step.schema, rest);
  let done = 0;
  const { serverMajor } = step.input.plan.destination;
  const canDefer = (statement: Statement): boolean =>
    statement.constraint === "foreign" &&
    !statement.unvalidated &&
    canBeNotValid(serverMajor, partitioned.has(statement.relation ?? ""));
  return step.watched(
    step.to,
    () =>
      Promise.resolve({
        note: `foreign keys, triggers, policies and the rest: ${plural(done, "statement")}`,
      }),
    (onBackend) =>
      buildSession(step, async (client) => {
        onBackend(client);
        await client.query("SET search_path = ''; SET check_function_bodies = off");
        // What an earlier attempt has created.
        const present = await existingObjects(client, step.schema);
        const run = async (section: readonly Statement[]): Promise<void> => {
          const missing = section.filter((statement) => !statement.creates || !present.has(keyOf(statement)));
          for (let start = 0; start < missing.length; start += BATCH) {
            step.attempt.throwIfCancelled();
            const batch = missing.slice(start, start + BATCH);
            await client.query(
              oneByOne(batch.map((statement) => (canDefer(statement) ? notValid(statement) : statement))),
            );
            done += batch.length;
          }
        };
        await run(statements.filter((statement) => !grants(statement)));
        // Views and functions that rely on a key are created here; then all grants have to be made again.
        if (statements.some(({ creates, node }) => creates === "relation" || node === "CreateFunctionStmt")) {
          await undoDefaultPrivileges(client, step.schema);
          await run(preData.filter(grants));
        }
        await run(statements.filter(grants));
        return step.input.request.validateFks ? validate(client, step) : [];
      }),
  );
}

const notValid = (statement: Statement): Statement => ({ ...statement, sql: `${statement.sql} NOT VALID` });

/**
 * Validates all foreign keys, also those that an earlier move has left NOT VALID, except those that refer to a table that is
 * copied under the lock: it is empty until then. Returns the keys that rows violate: these were NOT VALID on the source, and
 * are so here.
 */
async function validate(client: ClientBase, step: MoveStep): Promise<string[]> {
  const empty = new Set(step.input.plan.lockedCopies);
  const violated: string[] = [];
  for (const { table, name, refersTo, validateSql } of await readUnvalidatedKeys(client, [step.schema])) {
    if (empty.has(refersTo) && !empty.has(table)) continue;
    step.attempt.throwIfCancelled();
    try {
      await client.query(validateSql);
    } catch (error) {
      if (!hasSqlstate(error, SQLSTATE.foreignKeyViolation)) throw error;
      violated.push(`${name} of ${table}`);
    }
  }
  return violated;
}

/**
 * Triggers that fire always or on replicas would run for every replicated change. They are disabled
 * together with their creation, and the switch enables them.
 */
function withTriggersDisabled(schema: string, statements: readonly Statement[]): Statement[] {
  const key = (table: string | null, trigger: string | null): string => JSON.stringify([table, trigger]);
  const firing = new Set(
    statements
      .filter((statement) => statement.firesOnReplication)
      .map(({ relation, firesOnReplication }) => key(relation, firesOnReplication)),
  );
  return statements
    .filter((statement) => !statement.firesOnReplication)
    .map((statement) => {
      if (statement.creates !== "trigger" || !firing.has(key(statement.relation, statement.name)))
        return statement;
      const disable = `ALTER TABLE ${qualified(schema, statement.relation!)} DISABLE TRIGGER ${ident(statement.name!)}`;
      return { ...statement, sql: `${statement.sql};\n${disable}` };
    });
}

import type { ClientBase } from "pg";

import type { StructureReport } from "../../contract/move.ts";
import type { StepReport } from "../../contract/progress.ts";
import { allEnd } from "../../src/all-end.ts";
import { plural } from "../../src/format.ts";
import { ident, literal, qualified } from "../../src/postgres/quote.ts";
import { markOf } from "../../src/postgres/replication/names.ts";
import { restoreIdentitySql } from "../../src/postgres/replication/replica-identity.ts";
import { undoDefaultPrivileges } from "../../src/postgres/schema/default-privileges.ts";
import { dropCachedDump } from "../../src/postgres/schema/dump.ts";
import { grants, keyStatements, type Statement } from "../../src/postgres/schema/dump-statements.ts";
import { schemaFingerprint } from "../../src/postgres/schema/fingerprint.ts";
import { ensureNotLeft } from "./parts/book.ts";
import { dropEarlierRuns } from "./parts/earlier-runs.ts";
import { flushDestination } from "./parts/flush-destination.ts";
import { dropOwnCopy, makeRoom } from "./parts/half-made-copy.ts";
import { leaseShard, releaseShard } from "./parts/shard-lease.ts";
import { replicasBehind } from "./parts/standings.ts";
import type { MoveStep } from "./parts/step.ts";
import { ensureUnchanged, structureOf } from "./parts/structure.ts";

/** Statements per transaction: a schema of 10,000 tables in one transaction would exhaust the lock table. */
const BATCH = 200;

/**
 * Creates the schema on the destination as it has to be before the rows come: everything in the dump's pre-data
 * section, and for PostgreSQL's own tablesync the keys, without which no UPDATE could be applied.
 */
export async function createStructure(step: MoveStep): Promise<StructureReport> {
  const { schema } = step;
  await step.endOrphans(step.to);
  // Before the first look at the structure, so that no migration changes it from here on.
  await leaseShard(step);
  const fingerprint = await step.attempt.reading(step.from, () =>
    step.onSource((client) => schemaFingerprint(client, schema)),
  );
  const identities = step.input.plan.identityOverrides.flatMap(({ table, was }) =>
    was === "i" ? [] : [restoreIdentitySql(qualified(schema, table), was)],
  );
  await step.session(step.to, {}, async (client) => {
    const room = async (): Promise<void> => {
      await step.attempt.ensureCurrent();
      await dropEarlierRuns(step);
      await makeRoom(step, client);
    };
    const [, { preData, statements }] = await allEnd([room(), read(step, fingerprint)]);
    await createSchema(client, step, preData);
    await runInBatches(client, inPlace(statements.filter((statement) => !grants(statement))), step);
    await step.attempt.reading(step.to, () => undoDefaultPrivileges(client, schema));
    await runInBatches(client, inPlace(statements.filter(grants)), step);
    // Those that the source really has, even if a terminated move has left others there.
    await runInBatches(client, identities, step);
  });
  await flushDestination(step);
  return {
    text: `created the structure of "${schema}" on ${step.to}: ${plural(step.input.plan.tables, "table")}`,
    sql: [`CREATE SCHEMA ${ident(schema)}`],
    fingerprint,
    replicasBehind: await replicasBehind(step),
  };
}

/** Undoes `createStructure`. */
export async function dropStructure(step: MoveStep): Promise<StepReport> {
  await Promise.all([step.endOrphans(step.from), step.endOrphans(step.to)]);
  await ensureNotLeft(step);
  await releaseShard(step);
  const dropped = await step.session(step.to, {}, (client) => dropOwnCopy(step, client));
  await dropCachedDump(step.attempt.runId);
  return { text: dropped ? `dropped the half-made copy on ${step.to}` : `no half-made copy on ${step.to}` };
}

/** Reads the statements that create the structure, and among them those of the pre-data section. */
async function read(
  step: MoveStep,
  fingerprint: string,
): Promise<{ preData: readonly Statement[]; statements: Statement[] }> {
  const { preData, postData } = await structureOf(step, fingerprint);
  await step.attempt.reading(step.from, () =>
    step.onSource((client) => ensureUnchanged(step, client, fingerprint)),
  );
  const keys = step.input.plan.copyMethod === "tablesync" ? keyStatements(postData) : [];
  return { preData, statements: [...preData.filter((one) => !isSchemaItself(one)), ...keys] };
}

const isSchemaItself = (statement: Statement): boolean =>
  statement.node === "CreateSchemaStmt" ||
  (statement.node === "CommentStmt" && /^COMMENT ON SCHEMA /.test(statement.sql));

/** Creates the schema and its mark in one transaction, so that a half-made copy can always be recognized. */
async function createSchema(
  client: ClientBase,
  step: MoveStep,
  preData: readonly Statement[],
): Promise<void> {
  const create = preData.find((statement) => statement.node === "CreateSchemaStmt");
  await client.query("BEGIN");
  await client.query(create?.sql ?? `CREATE SCHEMA ${ident(step.schema)}`);
  await client.query(
    `COMMENT ON SCHEMA ${ident(step.schema)} IS ${literal(markOf(step.attempt.workflowId, step.attempt.runId, step.from, step.attempt.scheduledAt))}`,
  );
  await client.query("COMMIT");
}

/** The SQL of some statements, each preceded by the settings that say where its object goes, where these change. */
function inPlace(statements: readonly Statement[]): string[] {
  let placement = "";
  return statements.map(({ settings, sql }) => {
    const wanted = Object.values(settings).join("; ");
    if (wanted === placement) return sql;
    placement = wanted;
    return `${wanted};\n${sql}`;
  });
}

/** Runs statements in transactions of a few hundred each, with one round trip per transaction. */
async function runInBatches(
  client: ClientBase,
  statements: readonly string[],
  step: MoveStep,
): Promise<void> {
  // pg_dump qualifies every name with its schema; a search path could only lead to the wrong type or function.
  await client.query(
    "SELECT set_config('search_path', '', false), set_config('check_function_bodies', 'off', false)",
  );
  for (let start = 0; start < statements.length; start += BATCH) {
    step.attempt.throwIfCancelled();
    await client.query(statements.slice(start, start + BATCH).join(";\n"));
    step.attempt.beat({
      note: `${Math.min(start + BATCH, statements.length)} of ${statements.length} statements`,
    });
  }
}

import type { ClientBase } from "pg";

import { ShardferryError } from "../../src/errors.ts";
import { findLibSchema } from "../../src/install.ts";
import { qualified } from "../../src/postgres/quote.ts";
import {
  readSchema,
  readSequences,
  readTables,
  type Sequence,
  type Table,
} from "../../src/postgres/tables.ts";
import type { Step } from "../context.ts";

/** All that the switch has to know of the source's schema, read before the lock. */
export interface SwitchFacts {
  tables: Table[];
  sequences: Sequence[];
  /** The comment of the source's schema, which the destination gets instead of the mark. */
  comment: string | null;
  /** Triggers that fire always or on replicas, with the words that enable them so. */
  triggers: { table: string; trigger: string; enable: "ENABLE ALWAYS" | "ENABLE REPLICA" }[];
  /** Tables that objects of other schemas are built on: the rename does not keep those from writing. */
  reachable: string[];
}

/** Reads the facts; `schema` is the shard's name, or that of the old copy when a crash came in between. */
export async function readFacts(client: ClientBase, schema: string): Promise<SwitchFacts> {
  const { comment } = await readSchema(client, schema);
  const { rows: triggers } = await client.query<SwitchFacts["triggers"][number]>(
    `SELECT c.relname AS table, t.tgname AS trigger,
       CASE t.tgenabled WHEN 'A' THEN 'ENABLE ALWAYS' ELSE 'ENABLE REPLICA' END AS enable
     FROM pg_trigger t
     JOIN pg_class c ON c.oid = t.tgrelid
     JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND t.tgenabled IN ('A', 'R') AND NOT t.tgisinternal AND t.tgparentid = 0
     ORDER BY 1, 2`,
    [schema],
  );
  return {
    comment,
    triggers,
    tables: await readTables(client, schema),
    sequences: await readSequences(client, schema),
    reachable: await readReachable(client, schema),
  };
}

async function readReachable(client: ClientBase, schema: string): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT DISTINCT c.relname AS name
     FROM pg_namespace n
     JOIN pg_class c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p')
     JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid
     LEFT JOIN pg_rewrite w ON d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid
     LEFT JOIN pg_class reader ON reader.oid = w.ev_class
     LEFT JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
     WHERE n.nspname = $1 AND coalesce(reader.relnamespace, p.pronamespace, n.oid) <> n.oid
     ORDER BY 1`,
    [schema],
  );
  return rows.map((row) => row.name);
}

/** The value of a sequence as it is handed from one server to the other. */
export interface SequenceValue {
  name: string;
  value: string;
  called: boolean;
}

/**
 * Reads the sequences of a schema in one query: exact values, nothing is consumed. The statement is
 * prepared, so that the switch, which has run it before, does not plan it under the lock.
 */
export async function readSequenceValues(
  client: ClientBase,
  schema: string,
  facts: SwitchFacts,
): Promise<SequenceValue[]> {
  if (facts.sequences.length === 0) return [];
  const selects = facts.sequences.map(
    ({ name }, i) =>
      `SELECT ${i} AS no, last_value::text AS value, is_called AS called FROM ${qualified(schema, name)}`,
  );
  const { rows } = await client.query<{ no: number; value: string; called: boolean }>({
    name: "shardferry_sequences",
    text: selects.join(" UNION ALL "),
  });
  return rows.map(({ no, value, called }) => ({ name: facts.sequences[no]!.name, value, called }));
}

/** Where the SQL API lives on an island; every island of a move has it. */
export async function libSchemaOf(client: ClientBase, island: string): Promise<string> {
  const schema = await findLibSchema(client);
  if (schema === null) {
    throw new ShardferryError(
      "not_installed",
      `the SQL API is not installed on ${island}: run "shardferry install"`,
    );
  }
  return schema;
}

/** How far an earlier attempt of this very run has come: read from the book of switches on both islands. */
export interface Outcome {
  left: { leftover: string; switchLsn: string; epoch: string } | null;
  arrived: boolean;
}

/** True when the source has let go of the shard: from then on the way leads forward only. */
export async function hasLeft(step: Step): Promise<boolean> {
  return step.onSource(async (client) => {
    const { rowCount } = await client.query(
      `SELECT FROM ${await bookOf(client, step.from)}
       WHERE schema_name = $1 AND role = 'source' AND workflow_id = $2 AND run_id = $3`,
      [step.schema, step.workflowId, step.runId],
    );
    return rowCount === 1;
  });
}

/** Looks on both islands what has happened: never assumed, always looked up. */
export async function lookAtOutcome(step: Step): Promise<Outcome> {
  const left = await step.onSource(async (client) => {
    const { rows } = await client.query<{ leftover: string; switchLsn: string; epoch: string }>(
      `SELECT leftover, switch_lsn AS "switchLsn", epoch FROM ${await bookOf(client, step.from)}
       WHERE schema_name = $1 AND role = 'source' AND workflow_id = $2 AND run_id = $3`,
      [step.schema, step.workflowId, step.runId],
    );
    return rows[0] ?? null;
  });
  const arrived = await step.onDestination(async (client) => {
    const { rowCount } = await client.query(
      `SELECT FROM ${await bookOf(client, step.to)}
       WHERE schema_name = $1 AND role = 'destination' AND workflow_id = $2 AND run_id = $3`,
      [step.schema, step.workflowId, step.runId],
    );
    return rowCount === 1;
  });
  return { left, arrived };
}

const bookOf = async (client: ClientBase, island: string): Promise<string> =>
  qualified(await libSchemaOf(client, island), "microsharding_moves_");

import type { ClientBase } from "pg";

import { type LateKey, readLateKeys } from "../../../src/postgres/schema/late-keys.ts";
import {
  type MaterializedView,
  readMaterializedViews,
  searchPathFor,
} from "../../../src/postgres/schema/materialized-views.ts";
import { readSchema, readTables, type Table } from "../../../src/postgres/schema/tables.ts";
import { type DefinedSequence, readSequenceDefinitions } from "../../../src/sequences/hand-over.ts";
import type { MoveStep } from "./step.ts";

/** Everything that the switch has to know about the source's schema, read before the lock. */
export interface SwitchFacts {
  tables: Table[];
  sequences: DefinedSequence[];
  /** The comment of the source's schema, which the destination gets instead of the mark. */
  comment: string | null;
  /**
   * Triggers that fire always or on replicas, with the words that enable them that way; and all others of the same
   * family, if a partition has a different state from its parent.
   */
  triggers: { table: string; trigger: string; enable: string }[];
  /** The materialized views, each after those from which it reads. */
  views: MaterializedView[];
  /** The search_path with which those are filled. */
  searchPath: string;
  /** The foreign keys that are created with the rows of the tables that are copied under the lock. */
  lateKeys: LateKey[];
  /** Tables on which objects of other schemas are built: the rename does not prevent these from writing. */
  reachable: string[];
}

/** Reads the facts; `schema` is the shard's name, or that of the old copy if a crash came in between. */
export async function readFacts(step: MoveStep, client: ClientBase, schema: string): Promise<SwitchFacts> {
  const { comment } = await readSchema(client, schema);
  return {
    comment,
    triggers: await readTriggers(client, schema),
    tables: await readTables(client, schema),
    sequences: await readSequenceDefinitions(client, schema),
    views: await readMaterializedViews(client, schema, step.input.plan.lockedCopies),
    lateKeys: await readLateKeys(client, schema, step.input.plan.lockedCopies),
    searchPath: await searchPathFor(client, step.schema),
    reachable: await readReachable(client, schema),
  };
}

/**
 * Reads when triggers fire, if they or their clones in partitions fire for replicated rows. Partitioned tables come first,
 * since setting one of their triggers sets its clones.
 */
export async function readTriggers(client: ClientBase, schema: string): Promise<SwitchFacts["triggers"]> {
  const { rows } = await client.query<SwitchFacts["triggers"][number]>(
    `WITH RECURSIVE own(root, level, oid) AS (
       SELECT t.oid, 0, t.oid
       FROM pg_trigger t
       JOIN pg_class c ON c.oid = t.tgrelid
       JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE n.nspname = $1 AND NOT t.tgisinternal AND t.tgparentid = 0
       UNION ALL
       SELECT own.root, own.level + 1, t.oid FROM own JOIN pg_trigger t ON t.tgparentid = own.oid
     )
     SELECT c.relname AS table, t.tgname AS trigger,
       CASE t.tgenabled WHEN 'A' THEN 'ENABLE ALWAYS' WHEN 'R' THEN 'ENABLE REPLICA' WHEN 'D' THEN 'DISABLE' ELSE 'ENABLE' END AS enable
     FROM own
     JOIN pg_trigger t USING (oid)
     JOIN pg_class c ON c.oid = t.tgrelid
     WHERE root IN (SELECT o.root FROM own o JOIN pg_trigger f ON f.oid = o.oid WHERE f.tgenabled IN ('A', 'R'))
     ORDER BY level, 1, 2`,
    [schema],
  );
  return rows;
}

/**
 * Follows everything outside that is built on a relation of the schema down to the tables: a view
 * outside may write through a view inside. Views that cannot be written to (a UNION of many shards) are left out.
 */
export async function readReachable(client: ClientBase, schema: string): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `WITH RECURSIVE
     inside AS (
       SELECT c.oid, c.relname, c.relkind
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v')
     ),
     uses AS (
       SELECT d.refobjid AS used, w.ev_class AS relation
       FROM pg_depend d JOIN pg_rewrite w ON d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid
       -- Nobody writes through a materialized view, and to ask whether it can be written to waits for its REFRESH.
       JOIN pg_class c ON c.oid = w.ev_class AND c.relkind <> 'm'
       WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid IN (SELECT oid FROM inside) AND w.ev_class <> d.refobjid
       UNION
       SELECT d.refobjid, NULL
       FROM pg_depend d JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
       WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid IN (SELECT oid FROM inside)
         AND p.pronamespace <> (SELECT oid FROM pg_namespace WHERE nspname = $1)
     ),
     reached(oid) AS (
       SELECT used FROM uses
       WHERE relation IS NULL
         OR relation NOT IN (SELECT oid FROM inside) AND pg_relation_is_updatable(relation, true) & 28 <> 0
       UNION
       SELECT uses.used FROM reached JOIN uses ON uses.relation = reached.oid
     )
     SELECT relname AS name FROM reached JOIN pg_class c USING (oid) WHERE relkind <> 'v' ORDER BY 1`,
    [schema],
  );
  return rows.map((row) => row.name);
}

import type { ClientBase } from "pg";

import type { OpenInput } from "../../contract/way-back.ts";
import { ShardferryError } from "../../src/errors.ts";
import { withLocks } from "../../src/postgres/locks.ts";
import { ident, literal, qualified } from "../../src/postgres/quote.ts";
import { markOf } from "../../src/postgres/replication/names.ts";
import { readSchema, readTables } from "../../src/postgres/schema/tables.ts";
import { fenceSequences } from "../../src/sequences/hand-over.ts";
import { dropFenceFunctionSql, dropFenceSql, fenceSql, readFenced, renameSql } from "../move/parts/fence.ts";
import { isOwnMark } from "../move/parts/half-made-copy.ts";
import { readReachable, readTriggers } from "../move/parts/source-facts.ts";
import type { MoveStep } from "../move/parts/step.ts";

/** The old copy is not what the switch left behind: nothing can be applied to it. */
class OldCopyError extends ShardferryError {
  constructor({ schema, to }: MoveStep, what: string) {
    super("way_back_broken", `the old copy of "${schema}" on ${to} ${what}`);
  }
}

/** What the old copy gets back at the end, kept in its mark. */
interface Kept {
  comment: string | null;
  triggers: { table: string; trigger: string; enable: string }[];
}

const KEPT = "; kept for it: ";

/** True if the schema is the old copy that this way back has renamed. */
export const isOwnCopy = async (step: MoveStep, client: ClientBase): Promise<boolean> =>
  isOwnMark(step, (await readSchema(client, step.schema)).comment);

/**
 * Gives the old copy the shard's name again, by which replication finds it: inactive, marked as a copy that is being
 * filled, fenced against writers, and without triggers that would fire for what is applied. All or nothing.
 */
export async function nameAsShard(
  step: MoveStep,
  client: ClientBase,
  { leftover, expiresAt }: Pick<OpenInput, "leftover" | "expiresAt">,
): Promise<void> {
  const { schema, to } = step;
  const there = await readSchema(client, schema);
  if (isOwnMark(step, there.comment)) return;
  if (there.exists)
    throw new OldCopyError(step, `cannot get its name back: there is another schema "${schema}"`);
  const { exists, comment } = await readSchema(client, leftover);
  if (!exists) throw new OldCopyError(step, `("${leftover}") is gone`);
  const tables = (await readTables(client, leftover)).map(({ name }) => name);
  const fenced = new Set(await readFenced(client, leftover));
  const triggers = (await readTriggers(client, leftover)).filter(
    ({ enable }) => enable === "ENABLE ALWAYS" || enable === "ENABLE REPLICA",
  );
  const { workflowId, runId } = step.owner;
  const until = expiresAt === undefined ? "" : ` until ${new Date(expiresAt).toISOString()}`;
  const fate = `the shard can come back to it${until}${KEPT}${JSON.stringify({ comment, triggers } satisfies Kept)}`;
  const sql = [
    renameSql(leftover, schema),
    ...fenceSql(
      schema,
      step.from,
      tables.filter((table) => !fenced.has(table)),
    ),
    ...triggers.map(({ table, trigger }) => enableSql(schema, table, "ENABLE", trigger)),
    `COMMENT ON SCHEMA ${ident(schema)} IS ${literal(markOf(workflowId, runId, step.from, step.attempt.scheduledAt, fate))}`,
  ];
  await withLocks(client, () => client.query(sql.join(";\n")), step.attempt, step.attempt.lend(to));
}

/** Makes the old copy what it is after an ordinary move, if it is that of this way back. */
export async function nameAsLeftover(step: MoveStep, client: ClientBase, leftover: string): Promise<void> {
  const { schema, to } = step;
  const { comment: mark } = await readSchema(client, schema);
  if (mark === null || !isOwnMark(step, mark)) return;
  // An attempt of a rollback may have given them their values.
  await fenceSequences(client, schema);
  const { comment, triggers } = JSON.parse(mark.slice(mark.indexOf(KEPT) + KEPT.length)) as Kept;
  const reachable = new Set(await readReachable(client, schema));
  const fenced = await readFenced(client, schema);
  const sql = [
    ...fenced.filter((table) => !reachable.has(table)).map((table) => dropFenceSql(schema, table)),
    ...(fenced.some((table) => reachable.has(table)) ? [] : [dropFenceFunctionSql(schema)]),
    ...triggers.map(({ table, trigger, enable }) => enableSql(schema, table, enable, trigger)),
    `COMMENT ON SCHEMA ${ident(schema)} IS ${comment === null ? "NULL" : literal(comment)}`,
    renameSql(schema, leftover),
  ];
  await withLocks(client, () => client.query(sql.join(";\n")), step.attempt, step.attempt.lend(to));
}

const enableSql = (schema: string, table: string, enable: string, trigger: string): string =>
  `ALTER TABLE ONLY ${qualified(schema, table)} ${enable} TRIGGER ${ident(trigger)}`;

import type { ClientBase } from "pg";

import type { IslandName } from "../../../contract/names.ts";
import { type Lend, type Patience, withLocks } from "../locks.ts";
import { ident, qualified } from "../quote.ts";
import { outsideDependents, OutsideDependentsError } from "./outside-dependents.ts";

/** Relations per transaction: each takes some ten locks, and the lock table holds only some thousands in total. */
const BATCH = 50;

/** The kinds of relations with the command that drops them. Those that read others come first. */
const KINDS = [
  ["v", "VIEW"],
  ["m", "MATERIALIZED VIEW"],
  // Partitions before their parents.
  ["r", "TABLE"],
  ["f", "FOREIGN TABLE"],
  ["p", "TABLE"],
  ["S", "SEQUENCE"],
] as const;

export interface DropOptions {
  island: IslandName;
  patience: Patience;
  /** Another session on the same server. */
  lend: Lend;
  /** Throws if the schema is no longer the one that was to be dropped; called inside each transaction. */
  ensureSame?: () => Promise<void>;
  /** Called with the number of relations that are left, after every transaction. */
  tell?: (left: number) => void;
}

/**
 * Drops a schema with everything in it and nothing outside it: in transactions of some tables each, so that
 * thousands of tables do not exhaust the lock table, and no transaction makes others wait for more than a moment.
 * It may be stopped at any time and run again. Throws OutsideDependentsError, before anything is dropped, if
 * something outside is built on it.
 */
export async function dropSchema(client: ClientBase, schema: string, options: DropOptions): Promise<void> {
  if ((await countRelations(client, schema)) > BATCH) {
    await refuseDependents(client, schema, null, options.island);
    for (const [kind, command] of KINDS) await dropRelations(client, schema, kind, command, options);
  }
  await transaction(client, options, async () => {
    const names = await nextRelations(client, schema, ["r", "p"]);
    await lockTables(client, schema, names);
    await refuseDependents(client, schema, null, options.island);
    await client.query(`DROP SCHEMA IF EXISTS ${ident(schema)} CASCADE`);
  });
  options.tell?.(0);
}

/** Drops the relations of a kind, until so few of all kinds are left that they can be dropped at once. */
async function dropRelations(
  client: ClientBase,
  schema: string,
  kind: string,
  command: string,
  options: DropOptions,
): Promise<void> {
  // Those that go together with others, such as the sequences of columns, are counted until the next kind.
  let left = await countRelations(client, schema);
  for (let last = ""; left > BATCH;) {
    const names = await nextRelations(client, schema, [kind], last);
    if (names.length === 0) return;
    await transaction(client, options, async () => {
      if (command === "TABLE") await lockTables(client, schema, names);
      await refuseDependents(client, schema, names, options.island);
      const list = names.map((name) => qualified(schema, name)).join(", ");
      await client.query(`DROP ${command} IF EXISTS ${list} CASCADE`);
    });
    left -= names.length;
    last = names.at(-1)!;
    options.tell?.(left);
  }
}

function transaction(client: ClientBase, options: DropOptions, work: () => Promise<void>): Promise<void> {
  const checked = async (): Promise<void> => {
    await options.ensureSame?.();
    await work();
  };
  return withLocks(client, checked, options.patience, options.lend);
}

/** Returns some relations of the given kinds after a name, in the order of an index of pg_class: as a whole, it is read once. */
async function nextRelations(
  client: ClientBase,
  schema: string,
  kinds: readonly string[],
  last = "",
): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT relname AS name FROM pg_class
     WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) AND relkind = ANY ($2) AND relname > $3
     ORDER BY relname LIMIT ${BATCH}`,
    [schema, kinds, last],
  );
  return rows.map(({ name }) => name);
}

async function countRelations(client: ClientBase, schema: string): Promise<number> {
  const { rows } = await client.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM pg_class
     WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1)
       AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S')`,
    [schema],
  );
  return rows[0]!.count;
}

/** Locks tables. Nothing can be built on a locked table, so no dependent can appear after refuseDependents has looked. */
async function lockTables(client: ClientBase, schema: string, names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  const list = names.map((name) => `ONLY ${qualified(schema, name)}`).join(", ");
  await client.query(`LOCK TABLE ${list} IN ACCESS EXCLUSIVE MODE`);
}

async function refuseDependents(
  client: ClientBase,
  schema: string,
  relations: readonly string[] | null,
  island: IslandName,
): Promise<void> {
  const dependents = await outsideDependents(client, schema, relations);
  if (dependents.length > 0) throw new OutsideDependentsError(island, schema, dependents);
}

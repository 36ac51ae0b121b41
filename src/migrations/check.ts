import type { IslandShards, MigrateInput } from "../../contract/migrate.ts";
import type { IslandName } from "../../contract/names.ts";
import { type Applied } from "../postgres/api/ledger.ts";
import type { IslandFacts } from "./look.ts";
import type { MigrationStatement } from "./parse.ts";

/** Every reason why shards cannot be changed, found before anything is changed. */
export function problemsOf(
  migration: Pick<MigrateInput, "name" | "hash" | "mode" | "batch" | "dryRun">,
  statements: readonly MigrationStatement[],
  facts: readonly IslandFacts[],
  todo: readonly IslandShards[],
  applied: ReadonlyMap<IslandName, readonly Applied[]>,
): string[] {
  const involved = facts.filter(({ island }) => todo.some((one) => one.island === island));
  return [
    ...facts.filter(({ current }) => !current).map(outdated),
    ...[...applied].flatMap(([island, had]) => otherText(migration, island, had)),
    ...(migration.mode === "each" ? [] : tooFewPrepared(involved)),
    ...(migration.mode === "each" ? [] : tooManyLocks(migration.batch, statements, involved, todo)),
  ];
}

const outdated = ({ island }: IslandFacts): string =>
  `the SQL API on ${island} is of another version: run \`shardferry install\``;

function otherText(
  { name, hash, mode }: Pick<MigrateInput, "name" | "hash" | "mode">,
  island: IslandName,
  had: readonly Applied[],
): string[] {
  const others = had.filter((one) => one.hash !== hash);
  const begun = mode === "all" ? had.filter((one) => one.hash === hash && !one.complete) : [];
  return [
    ...(others.length > 0
      ? [
          `${shown(others)} on ${island} had a migration named "${name}" with another text: an applied migration must not change; give the new one another name (--name)`,
        ]
      : []),
    ...(begun.length > 0
      ? [`"${name}" was begun in ${shown(begun)} on ${island} one shard at a time: continue with --mode=each`]
      : []),
  ];
}

/** A server needs one free prepared transaction for each of its databases that takes part. */
function tooFewPrepared(involved: readonly IslandFacts[]): string[] {
  const servers = new Set(involved.map(({ server }) => server));
  return [...servers].flatMap((server) => {
    const islands = involved.filter((one) => one.server === server);
    const { maxPrepared, prepared } = islands[0]!;
    const names = islands.map(({ island }) => island).join(" and ");
    if (maxPrepared === 0) {
      return [
        `max_prepared_transactions is 0 on ${names}: set it to ${Math.max(10, islands.length)} or more in postgresql.conf and restart the server`,
      ];
    }
    if (maxPrepared - prepared >= islands.length) return [];
    return [
      `max_prepared_transactions is ${maxPrepared} on ${names}, of which ${prepared} are in use and ${islands.length} needed: raise it and restart the server, or end forgotten prepared transactions (see pg_prepared_xacts)`,
    ];
  });
}

/** About the number of locks that PostgreSQL needs for a relation that DDL touches: itself, an index, its TOAST table. */
const LOCKS_PER_RELATION = 3;
/** The shard's ledger and its key. */
const LOCKS_PER_SHARD = 2;

/** The estimated number of locks that one shard costs until the commit. */
const locksPerShard = (statements: readonly MigrationStatement[]): number =>
  LOCKS_PER_SHARD +
  LOCKS_PER_RELATION * Math.max(1, new Set(statements.flatMap(({ relations }) => relations)).size);

function tooManyLocks(
  batch: number | null,
  statements: readonly MigrationStatement[],
  involved: readonly IslandFacts[],
  todo: readonly IslandShards[],
): string[] {
  // An operator who limits the shards of a transaction knows better than an estimate.
  if (batch !== null) return [];
  const each = locksPerShard(statements);
  const servers = new Set(involved.map(({ server }) => server));
  return [...servers].flatMap((server) => {
    const islands = involved.filter((one) => one.server === server);
    const { lockRoom } = islands[0]!;
    const names = islands.map(({ island }) => island);
    const shards = todo.reduce((sum, one) => sum + (names.includes(one.island) ? one.schemas.length : 0), 0);
    if (shards * each <= lockRoom) return [];
    const fits = Math.max(1, Math.floor(lockRoom / each / names.length / 2));
    return [
      `${shards} shards on ${names.join(" and ")} need about ${shards * each} locks at once, and the server has room for ${lockRoom}: raise max_locks_per_transaction and restart it, or use --batch=${fits}, which changes ${fits} shards of each island at a time, all of these or none`,
    ];
  });
}

const shown = (shards: readonly { schema: string }[]): string =>
  shards
    .slice(0, 5)
    .map(({ schema }) => schema)
    .join(", ") + (shards.length > 5 ? `, … (${shards.length})` : "");

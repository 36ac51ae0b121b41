import { readFile } from "node:fs/promises";
import { basename } from "node:path";

import type {
  IslandChanges,
  MigrateInput,
  MigrateMode,
  MigrateResult,
  ShardNumbers,
} from "../../contract/migrate.ts";
import { migrateWorkflowId } from "../../contract/names.ts";
import { isWayBackId } from "../../contract/way-back.ts";
import { MIGRATION } from "../config/options.ts";
import type { Settings } from "../config/settings.ts";
import { shardNumbers } from "../config/values.ts";
import { messageOf, RefusedError, UsageError } from "../errors.ts";
import { problemsOf } from "../migrations/check.ts";
import { chooseShards, lookAtIsland } from "../migrations/look.ts";
import { migrationHash, type MigrationStatement, parseMigration } from "../migrations/parse.ts";
import { type Applied, readApplied } from "../postgres/api/ledger.ts";
import { type ConnectedIsland, withIslands } from "../postgres/islands/discover.ts";
import { some } from "../preflight/some.ts";
import type { Temporal } from "../temporal/connection.ts";
import { attachIfSame, findRunning, start } from "../watch/start.ts";
import type { Watch } from "../watch/watch.ts";
import { opened, type Opening } from "../worker/session.ts";
import { finishWays } from "./way-back.ts";
import { dsnsOf, readIslands } from "./with-islands.ts";

/** The request for a migration; a missing option has the default of the command line. */
export interface MigrateRequest {
  /** The file with the SQL; alternatively `sql`. */
  file?: string | undefined;
  sql?: string | undefined;
  /** The name under which the shards record it; by default that of the file. */
  name?: string | undefined;
  /** Numbers of shards, active or not; by default all active ones. */
  shards?: [first: number, last: number][] | undefined;
  /** `all` changes all shards or none, `each` one after another. */
  mode?: MigrateMode | undefined;
  /** How many shards of an island are changed at a time; by default all. */
  batch?: number | undefined;
  /** Closes the ways back of the shards first; otherwise, shards with an open one are refused. */
  finishWaysBack?: boolean | undefined;
  /** Runs everything, then rolls it back. */
  dryRun?: boolean | undefined;
  /** Milliseconds that one statement waits for a lock before everything is rolled back and tried again. */
  lockTimeoutMs?: number | undefined;
  /**
   * Seconds for all attempts together (60), and, if given, also for the wait for moves of the same shards, which is
   * otherwise unlimited.
   */
  deadlineSec?: number | undefined;
}

/** What a migration is about to do. */
export interface MigrationPlan {
  name: string;
  hash: string;
  mode: MigrateMode;
  dryRun: boolean;
  statements: number;
  /** By island, how many shards are to change and how many have had it. */
  islands: IslandChanges[];
  /** Number of transactions across all islands, each all or nothing; more than 1 with `batch`. */
  transactions: number;
  /** Workflows that currently hold a shard and have to end first. */
  waitsFor: string[];
}

/** Seconds for all attempts to get the locks, by default. */
const DEADLINE_SEC = 60;

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

/** Returns what a migration would do, and changes nothing; throws whatever would stop it. */
export async function planMigration(settings: Settings, request: MigrateRequest): Promise<MigrationPlan> {
  const migration = await readMigration(settings, request);
  return readIslands(dsnsOf(settings), (islands) => plan(islands, migration));
}

/**
 * Starts a migration, or attaches to a running one with the same request. Throws before starting if anything is wrong.
 *
 * @param confirm called before anything is started; throws to stop.
 */
export async function migrate(
  opening: Opening,
  settings: Settings,
  request: MigrateRequest,
  confirm: (plan: MigrationPlan) => Promise<void> = () => Promise.resolve(),
): Promise<Watch<MigrateResult>> {
  const migration = await readMigration(settings, request);
  const dsns = dsnsOf(settings);
  const { planned, names } = await withIslands(dsns, async (islands) => ({
    planned: await plan(islands, migration),
    names: islands.map(({ name }) => name),
  }));
  const { statements: _, ...rest } = migration;
  const input: MigrateInput = { ...rest, islands: names };
  const { name, hash, shards, mode, batch, dryRun } = input;
  const memo = { name, hash, shards, mode, batch, dryRun };
  const workflowId = migrateWorkflowId(name);
  const session = await opened(opening);
  const running = await findRunning(session.temporal, workflowId);
  if (running) {
    session.work(dsns);
    return attachIfSame<MigrateResult>(session.temporal, running, memo);
  }
  const ways = await runningOf(session.temporal, planned.waitsFor.filter(isWayBackId));
  if (ways.length > 0 && !request.finishWaysBack) throw new RefusedError([openWays(ways)]);
  await confirm(planned);
  session.work(dsns);
  await finishWays(session.temporal, ways);
  return start<MigrateResult>(
    session.temporal,
    "migrate",
    workflowId,
    { ...input, startedBy: settings.startedBy },
    memo,
  );
}

/** A lease may be left by one that has ended. */
async function runningOf(temporal: Temporal, workflowIds: readonly string[]): Promise<string[]> {
  const found = await Promise.all(workflowIds.map((id) => findRunning(temporal, id)));
  return found.flatMap((running) => (running ? [running.workflowId] : []));
}

/** The old copy of a shard does not follow a change of its structure. */
const openWays = (ways: readonly string[]): string =>
  `${some(ways, "open way")} back: a change of their shards would end them. Close them first (shardferry finish), or give --finish-ways-back`;

/** A checked request, without the islands. */
type Migration = Omit<MigrateInput, "islands"> & { statements: MigrationStatement[] };

async function readMigration(settings: Settings, request: MigrateRequest): Promise<Migration> {
  const { file, sql: given } = request;
  if ((file === undefined) === (given === undefined))
    throw new UsageError("Give the SQL either with --file or with --sql.");
  const sql = given ?? (await readSql(file!));
  const hash = migrationHash(sql);
  const name =
    request.name ?? (file === undefined ? `sql-${hash.slice(0, 12)}` : basename(file).replace(/\.sql$/i, ""));
  if (!NAME.test(name))
    throw new UsageError(
      `--name: "${name}" is not a valid name of a migration: use at most 100 letters, digits, ".", "_" and "-", beginning with a letter or digit.`,
    );
  const mode = request.mode ?? MIGRATION.mode.fallback;
  const batch = request.batch ?? null;
  if (mode === "each" && batch !== null)
    throw new UsageError("--batch works only with --mode=all: --mode=each has no transactions.");
  const dryRun = request.dryRun ?? false;
  if (mode === "each" && dryRun)
    throw new UsageError(
      "--dry-run works only with --mode=all: statements outside of a transaction cannot be rolled back.",
    );
  const source = file ?? "--sql";
  return {
    name,
    hash,
    sql,
    source,
    mode,
    batch,
    dryRun,
    shards: request.shards ?? shardsOfAllocation(settings),
    lockTimeoutMs: request.lockTimeoutMs ?? MIGRATION.lockTimeoutMs.fallback,
    deadlineSec: request.deadlineSec ?? DEADLINE_SEC,
    waitSec: request.deadlineSec,
    statements: await parseMigration(sql, source, mode),
  };
}

async function readSql(file: string): Promise<string> {
  try {
    return (await readFile(file, "utf8")).replace(/^\uFEFF/, "");
  } catch (cause) {
    throw new UsageError(`--file: cannot read ${file}: ${messageOf(cause)}`, { cause });
  }
}

/** When `allocate` runs it as its command, a migration changes the new shards. */
function shardsOfAllocation({ env }: Settings): ShardNumbers {
  const given = env["SHARDFERRY_SHARDS"];
  if (!given) return null;
  const parsed = shardNumbers.safeParse(given);
  if (!parsed.success) throw new UsageError(`SHARDFERRY_SHARDS: ${parsed.error.issues[0]?.message}`);
  return parsed.data;
}

async function plan(connected: readonly ConnectedIsland[], migration: Migration): Promise<MigrationPlan> {
  const workflowId = migrateWorkflowId(migration.name);
  const facts = await Promise.all(
    connected.map(({ client, name }) => lookAtIsland(client, name, workflowId)),
  );
  const outdated = facts.filter(({ current }) => !current);
  if (outdated.length > 0) throw new RefusedError(problemsOf(migration, [], outdated, [], new Map()));
  const { islands: chosen, moving } = chooseShards(facts, migration.shards);
  const applied = new Map<string, Applied[]>();
  for (const { island, schemas } of chosen) {
    const { client } = connected.find(({ name }) => name === island)!;
    const { apiSchema } = facts.find((one) => one.island === island)!;
    applied.set(island, await readApplied(client, apiSchema, migration.name, schemas));
  }
  const todo = chosen.map(({ island, schemas }) => {
    const done = new Set(applied.get(island)!.flatMap(({ schema, complete }) => (complete ? [schema] : [])));
    return { island, schemas: schemas.filter((schema) => !done.has(schema)), skipped: done.size };
  });
  const problems = problemsOf(
    migration,
    migration.statements,
    facts,
    todo.filter(({ schemas }) => schemas.length > 0),
    applied,
  );
  if (problems.length > 0) throw new RefusedError(problems);
  if (chosen.length === 0 && moving.length === 0)
    throw new UsageError(`There are no active shards on ${connected.map(({ name }) => name).join(", ")}.`);
  const held = new Set(chosen.flatMap(({ schemas }) => schemas));
  const { batch } = migration;
  return {
    name: migration.name,
    hash: migration.hash,
    mode: migration.mode,
    dryRun: migration.dryRun,
    statements: migration.statements.length,
    islands: todo.map(({ island, schemas, skipped }) => ({ island, applied: schemas.length, skipped })),
    transactions: Math.max(
      ...todo.map(({ schemas }) => Math.ceil(schemas.length / ((batch ?? schemas.length) || 1))),
      0,
    ),
    waitsFor: [
      ...new Set([
        ...moving.map(({ workflowId: holder }) => holder),
        ...facts.flatMap(({ replicated }) =>
          replicated.filter(({ schema }) => held.has(schema)).map((one) => one.workflowId),
        ),
      ]),
    ],
  };
}

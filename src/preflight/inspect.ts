import type { Preflight, ReplicationInput } from "../../contract/move.ts";
import { allEnd } from "../all-end.ts";
import { ShardferryError } from "../errors.ts";
import { chooseCopyMethod } from "../layout/copy-method.ts";
import type { Islands } from "../postgres/islands/connections.ts";
import { subscriptionConninfo } from "../postgres/replication/conninfo.ts";
import { OBJECT_PREFIX } from "../postgres/replication/names.ts";
import { type OverriddenTable, overriddenTables } from "../postgres/replication/replica-identity.ts";
import { SIZE_SQL, sizedRelationsSql } from "../postgres/schema/size.ts";
import { readTables, type Table } from "../postgres/schema/tables.ts";
import { type Check, type CheckContext, readServer } from "./check.ts";
import { outsideObjects, roles, tablespaces } from "./dependencies.ts";
import { expressionsWithoutPath } from "./expressions.ts";
import { type Finding, type FindingCode, findingOf } from "./finding.ts";
import { crossSchemaLinks } from "./links.ts";
import { rangesOfText } from "./locales.ts";
import { roomToLock } from "./locks.ts";
import { hashPartitions } from "./partitions.ts";
import { publishedWithoutIdentity } from "./publications.ts";
import { sourceLetsGo } from "./rehearsal.ts";
import {
  destinationCapacity,
  different,
  encodings,
  foreignReplication,
  indexSessions,
  preparedTransactions,
  replicasInSight,
  schemas,
  sourceCapacity,
  subscriberReachesPublisher,
  synchronousStandbys,
  versions,
} from "./servers.ts";
import { activation, largeObjects, lockedCopies, moneyFormat, needsLockedCopy } from "./shard.ts";
import { tablesyncLasts } from "./tablesync-lasts.ts";
import { acceptsStructure } from "./trial-restore.ts";
import { warnings } from "./warnings.ts";
import { noWayBackOpen, wayBackWorks } from "./way-back.ts";
import { workerSettings } from "./worker-settings.ts";

/** The input of preflight and of `doctor`. */
export interface PreflightInput {
  kind: "move" | "copy";
  request: ReplicationInput;
  shard: number | null;
  endsBlockers?: boolean;
  reversible?: boolean;
}

/** What preflight found. */
export interface Inspection {
  problems: Finding[];
  /** Facts that do not prevent it but are worth knowing; empty if there are problems. */
  warnings: Finding[];
  /** The checks that found nothing. */
  fine: FindingCode[];
  /** Null if there are problems. */
  plan: Preflight | null;
}

/**
 * Runs every check and returns all problems together; if there are none, returns the plan.
 *
 * `checked` is called after each check that has finished; `isOver` returns whether a run of the workflow has ended;
 * `pgOptions` are those of the sessions that copy rows and build indexes.
 */
export async function inspect(
  islands: Islands,
  input: PreflightInput,
  workflowId: string,
  {
    checked = () => undefined,
    isOver: over = () => Promise.resolve(false),
    pgOptions,
  }: { checked?: () => void; isOver?: CheckContext["isOver"]; pgOptions?: string | undefined } = {},
): Promise<Inspection> {
  const { from, to, schema } = input.request;
  return islands.withBoth(from, to, async (source, destination) => {
    const [fromServer, toServer, found, overridden] = await allEnd([
      readServer(source, from),
      readServer(destination, to),
      readTables(source, schema),
      overriddenTables(source, OBJECT_PREFIX),
    ]);
    const tables = asBeforeEarlierRuns(found, overridden);
    const base = {
      ...input,
      workflowId,
      islands,
      source,
      destination,
      from: fromServer,
      to: toServer,
      tables,
      alive: checked,
      isOver: over,
      pgOptions,
    };
    const first = await runChecks(entriesOf(FIRST_CHECKS), base, checked);
    // Without the schema, or within a single database, the other checks have nothing to look at.
    const results = first.some(({ problems }) => problems.length > 0)
      ? first
      : [...first, ...(await runAll(base, checked))];
    const problems = results.flatMap((one) => one.problems);
    const fine = results.filter((one) => one.problems.length === 0).map(({ code }) => code);
    if (problems.length > 0) return { problems, warnings: [], fine, plan: null };
    const [told, sizeBytes] = await allEnd([warnings(base), sizeOf(base)]);
    return { problems, warnings: told, fine, plan: preflightOf(base, told, sizeBytes) };
  });
}

/** A terminated run of this move may have left tables at REPLICA IDENTITY FULL. */
function asBeforeEarlierRuns(tables: Table[], overridden: readonly OverriddenTable[]): Table[] {
  const former = new Map(overridden.map(({ oid, was }) => [oid, was]));
  return tables.map((table) => {
    const was = former.get(table.oid);
    return was === undefined ? table : { ...table, replicaIdentity: was, hasIdentity: false };
  });
}

type Checks = Partial<Record<FindingCode, Check>>;
type Entry = [code: FindingCode, check: Check];

const entriesOf = (checks: Checks): Entry[] => Object.entries(checks) as Entry[];

const FIRST_CHECKS: Checks = {
  same_database: different,
  schema: schemas,
  server_version: versions,
  way_back_open: noWayBackOpen,
};

/** These share two sessions, to which what they ask is sent at once: one after the other, they took 130 round trips. */
const CHECKS: Checks = {
  activation,
  encoding: encodings,
  source_capacity: sourceCapacity,
  destination_capacity: destinationCapacity,
  tablesync_timeout: async (context) =>
    copyMethodOf(context) === "tablesync" ? tablesyncLasts(context) : [],
  worker_settings: workerSettings,
  replicas_hidden: async ({ source, destination, from, to }) =>
    (await allEnd([replicasInSight(source, from), replicasInSight(destination, to)])).flat(),
  pgoptions: indexSessions,
  standbys: synchronousStandbys,
  prepared_transactions: preparedTransactions,
  foreign_replication: foreignReplication,
  locked_copies: lockedCopies,
  large_objects: largeObjects,
  money_format: moneyFormat,
  locales: rangesOfText,
  publications: publishedWithoutIdentity,
  search_path: expressionsWithoutPath,
  links: crossSchemaLinks,
  roles,
  tablespaces,
  hash_partitions: hashPartitions,
  locks: roomToLock,
  outside_objects: outsideObjects,
  structure: acceptsStructure,
  rehearsal: sourceLetsGo,
  way_back: wayBackWorks,
};

/** These have transactions open in the shared sessions while they wait, so they run one after another. */
const TRYING: readonly FindingCode[] = ["structure", "rehearsal", "way_back"];

/** What one check found. */
interface CheckResult {
  code: FindingCode;
  problems: Finding[];
}

/**
 * Runs the checks and, concurrently in a session of its own, the one that waits for the two servers to connect. Four
 * lanes of checks were no faster, since each session has to fill its own catalog caches.
 */
async function runAll(context: CheckContext, checked: () => void): Promise<CheckResult[]> {
  const entries = entriesOf(CHECKS);
  const order = entries.map(([code]) => code);
  const shared = async (): Promise<CheckResult[]> => {
    const reading = entries.filter(([code]) => !TRYING.includes(code));
    const results = await runChecks(reading, context, checked);
    for (const entry of entries.filter(([code]) => TRYING.includes(code)))
      results.push(...(await runChecks([entry], context, checked)));
    return results.sort((a, b) => order.indexOf(a.code) - order.indexOf(b.code));
  };
  const { islands, request } = context;
  const connects = subscriberReachesPublisher(
    subscriptionConninfo(islands.dsn(request.from), context.from.identity.serverMajor, "shardferry"),
  );
  // Neither may still be running when this returns.
  const results = await allEnd([
    shared(),
    islands.withSession(request.to, { reuse: true }, (destination) =>
      runChecks([["source_unreachable", connects]], { ...context, destination }, checked),
    ),
  ]);
  return results.flat();
}

async function runChecks(
  checks: readonly Entry[],
  context: CheckContext,
  checked: () => void,
): Promise<CheckResult[]> {
  const { from, to } = context.request;
  const run = async ([code, check]: Entry): Promise<CheckResult> => {
    const problems = await check(context);
    checked();
    return { code, problems: problems.map((text) => findingOf(code, "problem", text, [from, to])) };
  };
  return allEnd(checks.map(run));
}

function preflightOf(context: CheckContext, found: readonly Finding[], sizeBytes: number): Preflight {
  const { tables, from, to } = context;
  const copied = tables.filter((table) => table.kind === "r");
  return {
    copyMethod: copyMethodOf(context),
    tables: tables.length,
    encoding: from.encoding,
    bytes: bytesOf(tables),
    rows: sum(copied, (table) => table.estimatedRows),
    sizeBytes,
    source: from.identity,
    destination: to.identity,
    identityOverrides: copied.filter(needsOverride).map((table) => ({ table: table.name, was: was(table) })),
    lockedCopies: copied.filter(needsLockedCopy).map((table) => table.name),
    warnings: found.map(({ text }) => text),
  };
}

const bytesOf = (tables: readonly Table[]): number =>
  sum(
    tables.filter((table) => table.kind === "r"),
    (table) => table.bytes,
  );

async function sizeOf({ source, request }: CheckContext): Promise<number> {
  const { rows } = await source.query<{ bytes: string }>(
    `SELECT ${SIZE_SQL} AS bytes FROM pg_namespace n ${sizedRelationsSql("n.oid")} WHERE n.nspname = $1`,
    [request.schema],
  );
  return Number(rows[0]?.bytes);
}

const copyMethodOf = ({ request, tables }: CheckContext): Preflight["copyMethod"] =>
  chooseCopyMethod(request.copyMethod, bytesOf(tables));

const needsOverride = (table: Table): boolean => !table.hasIdentity && !needsLockedCopy(table);

/** A table with REPLICA IDENTITY FULL has an identity, so this is called for other tables only. */
function was(table: Table): "d" | "n" | "i" {
  if (table.replicaIdentity === "f")
    throw new ShardferryError("bug", `table "${table.name}" needs no identity`);
  return table.replicaIdentity;
}

const sum = <T>(items: readonly T[], of: (item: T) => number): number =>
  items.reduce((total, item) => total + of(item), 0);

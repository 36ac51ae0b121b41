import { moveWorkflowId } from "../../contract/names.ts";
import { isWayBackId, WAY_BACK_TURNS, wayBackWorkflowId } from "../../contract/way-back.ts";
import type { SqlApi } from "../postgres/api/sql-api.ts";
import { readMark, replicationName } from "../postgres/replication/names.ts";
import { readCopyName, timeOf } from "../postgres/schema/copy-names.ts";
import type { Catalog, ObjectRow, SchemaRow } from "./catalog.ts";
import { Cluster } from "./cluster.ts";
import type { Leftover } from "./leftover.ts";
import type { Owners, Run } from "./owners.ts";

/** A leftover before its size is known. */
export type Judged = Omit<Leftover, "bytes"> & {
  readonly row: SchemaRow | ObjectRow;
  readonly api: SqlApi | null;
};

interface Court {
  cluster: Cluster;
  owners: Owners;
}

/**
 * Determines what on the islands is a leftover, which workflow has left it, and whether it may be dropped. Nothing that
 * is active, or that only looks like a leftover, is taken for one:
 *
 * - a half-made copy is recognized by its mark, the comment of the schema;
 * - old copies and rehearsals are recognized by the book of switches, or by their names: the name that the SQL API gives
 *   to a shard (not just something with a number), then `old` or `new`, then a time;
 * - replication is recognized by a name that only replicationName makes.
 *
 * A leftover is kept while its workflow is running, while an unknown workflow uses it, and if it may be the only copy.
 */
export function judge(catalogs: readonly Catalog[], owners: Owners): Judged[] {
  const court = { cluster: new Cluster(catalogs), owners };
  return catalogs.flatMap((catalog) => {
    const objects = catalog.objects.map((object) => judgeObject(court, catalog, object));
    const doomed = new Set(objects.filter(({ kept }) => kept === null).map(({ name }) => name));
    const schemas = catalog.schemas
      .filter(({ name }) => !catalog.active.has(name))
      .flatMap((row) => judgeSchema(court, catalog, row) ?? [])
      .map((judged) => {
        const { subscription } = judged.row as SchemaRow;
        const written = subscription !== null && !doomed.has(subscription);
        return written && judged.kept === null
          ? { ...judged, kept: `subscription ${subscription} writes into it` }
          : judged;
      });
    return [...objects, ...schemas];
  });
}

function judgeObject({ cluster, owners }: Court, { island, api }: Catalog, row: ObjectRow): Judged {
  const { kind, name } = row;
  const run = owners.byName(name);
  const unfinished =
    run && cluster.hasLeft(run.schema, run.runId) && !cluster.isActive(run.schema)
      ? `the switch of ${run.workflowId} is not finished, and the last writes may still be passing through it`
      : null;
  return {
    island,
    kind,
    name,
    row,
    api,
    schema: run?.schema ?? null,
    since: run?.startTime.toISOString() ?? null,
    workflowId: run?.workflowId ?? null,
    kept: keptFor(run, cluster.isAtWork(name), owners) ?? unfinished,
  };
}

/** Why something that this run, or an unknown one, has created is left alone; null if it is not. */
function keptFor(run: Run | undefined, atWork: boolean, { asked }: Owners): string | null {
  if (run?.running)
    return `${run.workflowId} is running: \`shardferry attach\` shows it, \`shardferry abort\` ends it`;
  if (run || !atWork) return null;
  return asked === null
    ? "it is in use, and there is no Temporal to ask for its workflow: set TEMPORAL_ADDRESS"
    : `it is in use by a workflow that ${asked} does not know`;
}

const judgeSchema = (court: Court, catalog: Catalog, row: SchemaRow): Judged | null =>
  judgeHalfMade(court, catalog, row) ??
  judgeCopy(court, catalog, row) ??
  judgeForeignCopy(court, catalog, row);

function judgeHalfMade({ cluster, owners }: Court, { island, api }: Catalog, row: SchemaRow): Judged | null {
  const mark = readMark(row.comment);
  if (!mark) return null;
  const { name } = row;
  const { workflowId, runId, from } = mark;
  const run = owners.byRun(workflowId, runId);
  let kept = keptFor(run, cluster.isAtWork(replicationName(workflowId, runId, name)), owners);
  if (workflowId === moveWorkflowId(name)) {
    if (cluster.hasLeft(name, runId) && !cluster.isActive(name))
      kept ??= `its switch is not finished: "${name}" has left ${from}, and only this copy may be up to date`;
    kept ??= keptAsOnly(cluster, name, from);
  }
  // Where the shard was may be lost.
  if (isWayBackId(workflowId)) kept ??= keptAsOnly(cluster, name, from);
  const since = mark.begun ?? run?.startTime.toISOString() ?? null;
  return { island, kind: "half-made copy", name, row, api, schema: name, since, workflowId, kept };
}

/** An old copy or a rehearsal of ours, by its name or by the book of switches. */
function judgeCopy({ cluster, owners }: Court, catalog: Catalog, row: SchemaRow): Judged | null {
  const { island, api, shards, departures } = catalog;
  const { name } = row;
  const departure = departures.byLeftover.get(name);
  const named = shards.has(name) ? null : readCopyName(name);
  const schema =
    departure?.schema ?? (named && (shards.has(named.base) ? named.base : cluster.longName(named.base)));
  if (!schema) return null;
  const at = departure?.at ?? named!.at;
  const workflowId = departure?.workflowId ?? moveWorkflowId(schema);
  const running = owners.runningNow(workflowId);
  // A copy older than the one in the book: the shard has come back, and left again.
  const last = departure ?? departures.bySchema.get(schema);
  const run = last && owners.byRun(last.workflowId, last.runId);
  // The time in a name is in whole seconds.
  const made = running && running.startTime.getTime() < at.getTime() + 1000;
  const way = WAY_BACK_TURNS.map((turn) => owners.runningNow(wayBackWorkflowId(schema, turn))).find(Boolean);
  let kept = keptFor(made ? running : way, false, owners);
  const kind = departure || named?.kind === "old" ? "old copy" : "rehearsal";
  if (kind === "old copy" && !run?.completed) kept ??= keptAsOnly(cluster, schema, last?.peer);
  return { island, kind, name, row, api, schema, since: at.toISOString(), workflowId, kept };
}

/** What pg-microsharding leaves: `sh0042old20240131120000`, and `sh0042new` without a time. */
function judgeForeignCopy({ cluster }: Court, catalog: Catalog, row: SchemaRow): Judged | null {
  const { island, api, shards, departures } = catalog;
  const { name } = row;
  const [, base, digits] = /^(.+?)(?:old(\d{14})|new)$/s.exec(name) ?? [];
  const at = digits === undefined ? null : timeOf(digits);
  if (base === undefined || !shards.has(base) || shards.has(name) || (digits !== undefined && !at))
    return null;
  const kind = at ? "old copy" : "rehearsal";
  const peer = departures.bySchema.get(base)?.peer;
  const kept = at ? keptAsOnly(cluster, base, peer) : null;
  return {
    island,
    kind,
    name,
    row,
    api,
    schema: base,
    since: at?.toISOString() ?? null,
    workflowId: null,
    kept,
  };
}

/** Why a copy is left alone because its shard is active nowhere; null if it is not. */
function keptAsOnly(cluster: Cluster, schema: string, peer?: string): string | null {
  if (cluster.isActive(schema)) return null;
  const places = cluster.placesOf(schema);
  if (peer === undefined && places.length === 0) return null;
  const where =
    peer === undefined ? `inactive on ${places.join(", ")}` : `active on none of ${cluster.islands}`;
  const hint =
    peer === undefined ? "" : ` (--dsns has to include the island to or from which it was moved, ${peer})`;
  return `"${schema}" is ${where}, so this may be its only copy${hint}`;
}

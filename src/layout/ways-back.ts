import type { IslandName } from "../../contract/names.ts";
import { isWayBackId, WAY_BACK_TURNS, wayBackWorkflowId } from "../../contract/way-back.ts";
import type { SqlApi } from "../postgres/api/sql-api.ts";
import { readPeers } from "../postgres/api/switches.ts";
import { literal } from "../postgres/quote.ts";
import {
  isReplicationName,
  MARK_PREFIX,
  namesBegin,
  OBJECT_PREFIX,
  readMark,
  replicationName,
} from "../postgres/replication/names.ts";
import { DATABASE_OID } from "../postgres/server.ts";
import { rowsOfEach } from "../postgres/session.ts";
import type { IslandWithApi } from "./islands-with-api.ts";

/**
 * The open way back of a shard, as the islands know it: by its slot, the book of switches, and the mark of the old copy. So
 * it is shown whether Temporal is running or not.
 */
export interface OpenWayBack {
  readonly workflowId: string;
  /** Where the old copy is. */
  readonly to: IslandName;
  /** When it ends by itself, in ISO 8601; null until the old copy is in step, and if its island was not asked. */
  readonly expiresAt: string | null;
  /** WAL that the shard's island keeps for it; null if it has removed WAL that the old copy still needs. */
  readonly walKeptBytes: number | null;
  /** WAL that the old copy has not confirmed yet. */
  readonly lagBytes: number | null;
}

/** An old copy that a way back has made ready for the return of its shard. It is neither a shard nor a leftover. */
export interface OldCopy {
  readonly no: number;
  readonly schema: string;
  /** Where the shard is. */
  readonly from: IslandName;
  readonly workflowId: string;
  readonly expiresAt: string | null;
  /** True while it follows the shard; false before that, and when none of the islands that were asked feeds it any more. */
  readonly open: boolean;
}

interface Slot {
  name: string;
  walKeptBytes: number | null;
  lagBytes: number | null;
}

/** An old copy, and the slot that feeds it. */
interface FedCopy {
  copy: Omit<OldCopy, "open">;
  slot: string;
}

/** What an island's catalogs say. */
interface Known {
  island: IslandWithApi;
  slots: readonly Slot[];
  /** Names of enabled subscriptions. */
  following: ReadonlySet<string>;
  copies: readonly FedCopy[];
}

/** The ways back that begin on an island, by schema, and the old copies there. */
export interface WaysBack {
  readonly open: ReadonlyMap<string, OpenWayBack>;
  readonly oldCopies: readonly OldCopy[];
}

/** Reads the ways back of the active shards of each island. */
export async function readWaysBack(
  islands: readonly IslandWithApi[],
  schemas: readonly (readonly string[])[],
): Promise<WaysBack[]> {
  const known = await Promise.all(islands.map(readKnown));
  const fed = new Set(known.flatMap(({ slots }) => slots.map(({ name }) => name)));
  return Promise.all(
    known.map(async (one, i) => ({
      open: await waysFrom(one, schemas[i]!, known),
      oldCopies: one.copies.map(({ copy, slot }) => ({
        ...copy,
        open: fed.has(slot) && one.following.has(slot),
      })),
    })),
  );
}

const SLOTS = `
  SELECT slot_name::text AS name, pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::text AS kept,
    pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)::text AS lag
  FROM pg_replication_slots
  WHERE database = current_database() AND starts_with(slot_name, ${literal(OBJECT_PREFIX)})`;

const FOLLOWING = `
  SELECT subname::text AS name FROM pg_subscription
  WHERE subenabled AND subdbid = ${DATABASE_OID} AND starts_with(subname, ${literal(OBJECT_PREFIX)})`;

const MARKS = `
  SELECT n.nspname::text AS schema, d.description AS comment
  FROM pg_description d JOIN pg_namespace n ON n.oid = d.objoid
  WHERE d.classoid = 'pg_namespace'::regclass AND starts_with(d.description, ${literal(MARK_PREFIX)})
  ORDER BY n.nspname`;

async function readKnown(island: IslandWithApi): Promise<Known> {
  const { client, api } = island;
  const [slots, following, marks] = (await rowsOfEach(client, [SLOTS, FOLLOWING, MARKS])) as unknown as [
    { name: string; kept: string | null; lag: string | null }[],
    { name: string }[],
    { schema: string; comment: string }[],
  ];
  return {
    island,
    slots: slots
      .filter(({ name }) => isReplicationName(name))
      .map(({ name, kept, lag }) => ({ name, walKeptBytes: bytesOf(kept), lagBytes: bytesOf(lag) })),
    following: new Set(following.map(({ name }) => name)),
    copies: marks.flatMap(({ schema, comment }) => copyOf(schema, comment, api) ?? []),
  };
}

const bytesOf = (text: string | null): number | null => (text === null ? null : Math.max(0, Number(text)));

/** Null for a half-made copy of a move. */
function copyOf(schema: string, comment: string, api: SqlApi | null): FedCopy | null {
  const mark = readMark(comment);
  const no = api?.shardNumber(schema) ?? null;
  if (!mark || no === null || !isWayBackId(mark.workflowId)) return null;
  const { from, workflowId, runId, until: expiresAt } = mark;
  return {
    copy: { no, schema, from, workflowId, expiresAt },
    slot: replicationName(workflowId, runId, schema),
  };
}

async function waysFrom(
  { island: { client, api }, slots }: Known,
  schemas: readonly string[],
  known: readonly Known[],
): Promise<Map<string, OpenWayBack>> {
  if (!api || slots.length === 0) return new Map();
  const found = schemas.flatMap((schema) =>
    WAY_BACK_TURNS.flatMap((turn) => {
      const workflowId = wayBackWorkflowId(schema, turn);
      const begin = namesBegin(workflowId, schema);
      const slot = slots.find(({ name }) => name.startsWith(begin));
      return slot ? [{ schema, workflowId, slot }] : [];
    }),
  );
  if (found.length === 0) return new Map();
  const peers = await readPeers(
    client,
    api.schema,
    found.map(({ schema }) => schema),
  );
  return new Map(
    found.map(({ schema, workflowId, slot: { name, walKeptBytes, lagBytes } }) => {
      const place = known.find(({ copies }) => copies.some(({ slot }) => slot === name));
      const fed = place?.copies.find(({ slot }) => slot === name);
      const to = place?.island.name ?? peers.get(schema) ?? "?";
      return [schema, { workflowId, to, expiresAt: fed?.copy.expiresAt ?? null, walKeptBytes, lagBytes }];
    }),
  );
}

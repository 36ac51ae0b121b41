import type { IslandName } from "../../contract/names.ts";
import { type ObjectRow, readCatalog, readSizes } from "../cleanup/catalog.ts";
import { dropLeftover, freeFromDebugViews, type Tell } from "../cleanup/drop.ts";
import { judge, type Judged } from "../cleanup/judge.ts";
import { keyOf, type Leftover, type LeftoverKind } from "../cleanup/leftover.ts";
import { askOwners, NO_OWNERS } from "../cleanup/owners.ts";
import type { Settings } from "../config/settings.ts";
import { messageOf } from "../errors.ts";
import { Islands } from "../postgres/islands/connections.ts";
import type { ConnectedIsland } from "../postgres/islands/discover.ts";
import type { Session } from "../worker/session.ts";
import { dsnsOf, readIslands } from "./with-islands.ts";

/** Whom to ask which workflows are running, or a function that opens a session if there is a server to ask. */
export type Asking = Pick<Session, "temporal"> | null | (() => Promise<Pick<Session, "temporal"> | null>);

export interface LeftoverFilter {
  /** Keeps leftovers that are younger or of unknown age. */
  olderThanMs?: number | undefined;
}

/** A leftover that could not be dropped. */
export interface FailedDrop {
  island: IslandName;
  /** Name of the schema, slot, publication or subscription. */
  name: string;
  reason: string;
}

export interface CleanupResult {
  dropped: Leftover[];
  failed: FailedDrop[];
}

/** Finds the leftovers of moves and copies on all islands, with the reason for those that are kept. Changes nothing. */
export async function findLeftovers(
  settings: Settings,
  asking: Asking,
  filter: LeftoverFilter = {},
): Promise<Leftover[]> {
  const found = await find(settings, asking, filter);
  return found.map(({ leftover }) => leftover);
}

/**
 * Drops leftovers that findLeftovers has found, one by one, but keeps those that must no longer be dropped. If one
 * cannot be dropped, the others still are. May be stopped at any time and run again.
 *
 * @param tell called with lines for the operator.
 */
export async function cleanup(
  settings: Settings,
  asking: Asking,
  leftovers: readonly Leftover[],
  tell: Tell = () => undefined,
): Promise<CleanupResult> {
  const wanted = new Set(leftovers.map(keyOf));
  const found = (await find(settings, asking, {})).filter(({ leftover }) => wanted.has(keyOf(leftover)));
  const droppable = found.filter(({ leftover }) => leftover.kept === null);
  const islands = new Islands(dsnsOf(settings));
  const result: CleanupResult = { dropped: [], failed: [] };
  try {
    const names = [...new Set(droppable.map(({ leftover }) => leftover.island))];
    for (const kinds of PHASES) {
      await Promise.all(
        names.map((name) =>
          cleanIsland(
            islands,
            name,
            droppable.filter(({ judged }) => judged.island === name && kinds.includes(judged.kind)),
            tell,
            result,
          ),
        ),
      );
    }
  } finally {
    await islands.close();
  }
  return result;
}

/** Each phase covers all islands: a subscription holds a slot and writes to a schema, usually on another island. */
const PHASES: readonly LeftoverKind[][] = [
  ["subscription"],
  ["slot", "publication"],
  ["half-made copy", "rehearsal", "old copy"],
];

interface Found {
  judged: Judged;
  leftover: Leftover;
}

const isSchema = ({ row }: Judged): boolean => "oid" in row;

async function find(settings: Settings, asking: Asking, filter: LeftoverFilter): Promise<Found[]> {
  let session: Promise<Pick<Session, "temporal"> | null> | undefined;
  return readIslands(dsnsOf(settings), async (islands) => {
    const catalogs = await Promise.all(islands.map(readCatalog));
    // No server is started if there is nothing to ask about.
    if (judge(catalogs, NO_OWNERS).length === 0) return [];
    session ??= Promise.resolve(typeof asking === "function" ? asking() : asking);
    const asked = await session;
    const owners = asked ? await askOwners(asked.temporal) : NO_OWNERS;
    const judged = judge(catalogs, owners);
    const sizes = await sizesOf(islands, judged);
    return judged.map((one) => ({ judged: one, leftover: toLeftover(one, sizes, filter) }));
  });
}

async function sizesOf(
  islands: readonly ConnectedIsland[],
  judged: readonly Judged[],
): Promise<Map<IslandName, Map<string, number>>> {
  const sizes = await Promise.all(
    islands.map(async ({ name, client }) => {
      const schemas = judged.filter((one) => one.island === name && isSchema(one));
      return [
        name,
        await readSizes(
          client,
          schemas.map((one) => one.name),
        ),
      ] as const;
    }),
  );
  return new Map(sizes);
}

function toLeftover(
  { row, api: _api, ...judged }: Judged,
  sizes: Map<IslandName, Map<string, number>>,
  { olderThanMs }: LeftoverFilter,
): Leftover {
  const wal = (row as Partial<ObjectRow>).bytes;
  const bytes = sizes.get(judged.island)?.get(judged.name) ?? (wal ? Number(wal) : null);
  return { ...judged, bytes, kept: judged.kept ?? tooYoung(judged.since, olderThanMs) };
}

function tooYoung(since: string | null, olderThanMs: number | undefined): string | null {
  if (olderThanMs === undefined) return null;
  if (since === null) return "its age is not known";
  return Date.now() - Date.parse(since) < olderThanMs ? "it is younger than --older-than" : null;
}

async function cleanIsland(
  islands: Islands,
  island: IslandName,
  found: readonly Found[],
  tell: Tell,
  result: CleanupResult,
): Promise<void> {
  if (found.length === 0) return;
  const attempt = async (name: string, work: () => Promise<void>): Promise<boolean> => {
    try {
      await work();
      return true;
    } catch (error) {
      result.failed.push({ island, name, reason: messageOf(error) });
      tell(`${island}: ${name}: not dropped: ${messageOf(error)}`);
      return false;
    }
  };
  if (found.some(({ judged }) => isSchema(judged)))
    await attempt("debug views", () => freeFromDebugViews(islands, island, tell));
  // One after another: each needs locks, and the lock table of an island holds only a few thousand.
  for (const { judged, leftover } of found) {
    if (!(await attempt(judged.name, () => dropLeftover(islands, judged, tell)))) continue;
    result.dropped.push(leftover);
    tell(`${island}: dropped ${judged.kind} ${judged.name}`);
  }
}

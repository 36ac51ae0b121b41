import { createHash } from "node:crypto";

import type { Settings } from "../config/settings.ts";
import { canonicalizer } from "../drift/canonical.ts";
import { compare, type Difference, differences, type Facts } from "../drift/compare.ts";
import type { CatalogObject, Fact } from "../drift/facts.ts";
import { factsOf, withoutMaintain } from "../drift/facts-of.ts";
import { fixStatements } from "../drift/fix.ts";
import { inShard, readable } from "../drift/neutral.ts";
import {
  type ComparedShard,
  type DigestedShard,
  readDependencies,
  readDigests,
  readObjects,
} from "../drift/read.ts";
import { groupBy } from "../group-by.ts";
import { requireActive } from "../layout/where.ts";
import { findSqlApi } from "../postgres/api/sql-api.ts";
import type { ConnectedIsland } from "../postgres/islands/discover.ts";
import { majorVersion } from "../postgres/server.ts";
import { dsnsOf, readIslands } from "./with-islands.ts";

export interface DriftRequest {
  /** Numbers of the shards to compare; all active ones but shard 0 by default. */
  shards?: readonly number[] | undefined;
  /** Number of the reference shard; the largest group by default. */
  reference?: number | undefined;
  /** Adds the DDL that would bring each shard in line. */
  fixSql?: boolean | undefined;
}

/** Shards with the same schema. */
export interface DriftGroup {
  /** Names of the shards, by number. */
  readonly shards: readonly string[];
  readonly places: readonly ComparedShard[];
  /** True for the group that the others are compared with. */
  readonly reference: boolean;
  /** How the group differs from the reference; empty for the reference itself. */
  readonly differences: readonly Difference[];
  /** Only if requested. */
  readonly fix?: readonly ShardFix[];
}

/** The DDL that would bring a shard in line with the reference. Shardferry never runs it. */
export interface ShardFix extends ComparedShard {
  readonly statements: readonly string[];
}

export interface Drift {
  /** The reference first, then by size. With only one group, there is no drift. */
  readonly groups: readonly DriftGroup[];
  /** Shards with foreign keys that are NOT VALID, as moves leave them. That does not count as drift. */
  readonly unvalidated: readonly UnvalidatedShard[];
}

export interface UnvalidatedShard extends ComparedShard {
  /** In words: `constraint of_team of users`. */
  readonly keys: readonly string[];
}

interface Group {
  shards: DigestedShard[];
  facts: Facts;
}

/**
 * Compares the schemas of all active shards with the majority or with the reference, and returns what is missing, extra
 * or different. Only reads; throws a UsageError that names shards that are not active.
 */
export async function drift(settings: Settings, request: DriftRequest = {}): Promise<Drift> {
  return readIslands(dsnsOf(settings), async (islands) => {
    const wanted = request.shards ? new Set([...request.shards, ...reference(request)]) : null;
    const found = (await Promise.all(islands.map((island) => digestsOf(island, wanted)))).flat();
    // The reference may be shard 0, which is not among the others.
    await requireActive(islands, found, wanted ?? reference(request), "to compare");
    const { groups, unvalidated } = await group(islands, found, request);
    const right = chooseReference(groups, request.reference);
    return { groups: order(groups, right).map((one) => describe(one, right, request)), unvalidated };
  });
}

const reference = ({ reference: no }: DriftRequest): number[] => (no === undefined ? [] : [no]);

async function digestsOf(
  island: ConnectedIsland,
  wanted: ReadonlySet<number> | null,
): Promise<DigestedShard[]> {
  const api = await findSqlApi(island.client);
  return api ? readDigests(island, api, wanted) : [];
}

/** Groups by digest first, so that only one shard of each group has to be read; then by equal facts. */
async function group(
  islands: readonly ConnectedIsland[],
  found: readonly DigestedShard[],
  request: DriftRequest,
): Promise<{ groups: Group[]; unvalidated: UnvalidatedShard[] }> {
  const byDigest = new Map<string, DigestedShard[]>();
  for (const shard of found) byDigest.set(shard.digest, [...(byDigest.get(shard.digest) ?? []), shard]);
  const read = await readFacts(
    islands,
    [...byDigest.values()].map((shards) => shards[0]!),
    request,
  );
  const groups = new Map<string, Group>();
  const unvalidated: UnvalidatedShard[] = [];
  for (const shards of byDigest.values()) {
    const all = [...read.get(shards[0]!)!.values()];
    const facts: Facts = new Map(all.flatMap((one) => (one.isUnvalidatedKey ? [] : [[one.id, one]])));
    const keys = all.flatMap((one) => (one.isUnvalidatedKey ? [readable(one.label)] : []));
    if (keys.length > 0)
      unvalidated.push(...shards.map(({ no, schema, island }) => ({ no, schema, island, keys })));
    const known = groups.get(keyOf(facts));
    if (known) known.shards.push(...shards);
    else groups.set(keyOf(facts), { shards: [...shards], facts });
  }
  return { groups: [...groups.values()], unvalidated: unvalidated.sort((a, b) => a.no - b.no) };
}

/** Returns a key that is the same for schemas without differences. */
function keyOf(facts: Facts): string {
  const contents = [...facts.values()].map(({ id, content }) => JSON.stringify([id, content])).sort();
  return createHash("sha256").update(contents.join("\n")).digest("base64");
}

async function readFacts(
  islands: readonly ConnectedIsland[],
  shards: readonly DigestedShard[],
  { fixSql }: DriftRequest,
): Promise<Map<DigestedShard, Facts>> {
  const majors = new Set(islands.map(({ serverVersion }) => majorVersion(serverVersion)));
  const canonical = majors.size > 1 ? await canonicalizer() : (text: string) => text;
  // This privilege does not exist before 17, so on one of the sides nobody can have it.
  const comparable =
    Math.min(...majors) < 17 && Math.max(...majors) >= 17
      ? withoutMaintain
      : (object: CatalogObject) => object;
  const facts = new Map<DigestedShard, Facts>();
  await Promise.all(
    islands.map(async (island) => {
      const here = shards.filter((shard) => shard.island === island.name);
      const objects = await readObjects(island, here);
      const dependencies = fixSql ? await readDependencies(island, here) : new Map<string, []>();
      for (const shard of here) {
        const needs = groupBy(dependencies.get(shard.oid) ?? [], ([id]) => id);
        const list = factsOf((objects.get(shard.oid) ?? []).map(comparable));
        const complete = (one: Fact): Fact => ({
          ...one,
          content: canonical(one.content),
          needs: (needs.get(one.id) ?? []).map(([, need]) => need),
        });
        facts.set(shard, new Map([...list].map(([id, one]) => [id, complete(one)])));
      }
    }),
  );
  return facts;
}

/** Chooses the group of the given shard; else the largest and, among equals, the one with the lowest number. */
function chooseReference(groups: readonly Group[], no: number | undefined): Group | undefined {
  if (no !== undefined) return groups.find(({ shards }) => shards.some((shard) => shard.no === no));
  return bySize(groups)[0];
}

const lowest = ({ shards }: Group): number => shards.reduce((least, { no }) => Math.min(least, no), Infinity);

const bySize = (groups: readonly Group[]): Group[] =>
  [...groups].sort((a, b) => b.shards.length - a.shards.length || lowest(a) - lowest(b));

const order = (groups: readonly Group[], right: Group | undefined): Group[] =>
  right ? [right, ...bySize(groups).filter((one) => one !== right)] : [];

function describe(one: Group, right: Group | undefined, { fixSql }: DriftRequest): DriftGroup {
  const shards = [...one.shards].sort((a, b) => a.no - b.no);
  const places = shards.map(({ no, schema, island }) => ({ no, schema, island }));
  const isReference = one === right;
  const statements = fixSql && right && !isReference ? fixStatements(right.facts, one.facts) : [];
  const group: DriftGroup = {
    shards: places.map(({ schema }) => schema),
    places,
    reference: isReference,
    differences: isReference || !right ? [] : differences(compare(right.facts, one.facts)),
  };
  if (!fixSql) return group;
  const fixOf = (place: ComparedShard): ShardFix => ({
    ...place,
    statements: statements.map((text) => inShard(text, place)),
  });
  return { ...group, fix: isReference ? [] : places.map(fixOf) };
}

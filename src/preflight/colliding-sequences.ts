import { groupBy } from "../group-by.ts";
import type { ConnectedIsland } from "../postgres/islands/discover.ts";
import { ident, qualified } from "../postgres/quote.ts";
import { colliding, reachOf } from "../sequences/collisions.ts";
import { activeSequences, type ShardSequences } from "../sequences/of-shards.ts";
import { highest } from "../sequences/own-values.ts";
import type { ShardSequence } from "../sequences/read.ts";
import { type Finding, findingOf } from "./finding.ts";

/** A sequence and its shard. */
interface Placed {
  readonly shard: ShardSequences;
  readonly sequence: ShardSequence;
}

/** How many names are shown; the rest are counted. */
const SHOWN = 5;
/** How many ids of one shard are looked for in the others. */
const SAMPLE = 1000;
/** For each column, how many shards with ids are searched, and how many shards at most are asked for ids. */
const LOOKED_INTO = 20;
const ASKED = 100;

/** Finds sequences of the same name that produce the same values in several shards, and ids that already collide. */
export async function collidingSequences(islands: readonly ConnectedIsland[]): Promise<Finding[]> {
  const shards = (await Promise.all(islands.map((island) => activeSequences(island)))).flat();
  const all = shards.flatMap((shard) => shard.sequences.map((sequence): Placed => ({ shard, sequence })));
  const byName = groupBy(all, ({ sequence }) => sequence.name);
  const findings: Finding[] = [];
  for (const [name, placed] of [...byName].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const names = new Set(
      colliding(placed.map(({ sequence }) => reachOf(sequence.schema, sequence.numbers))),
    );
    const same = await idsInCommon(
      names.size === 0 ? placed : placed.filter(({ sequence }) => names.has(sequence.schema)),
    );
    const text = names.size > 0 ? describe(name, [...names], same) : same === null ? null : describeOld(same);
    if (text !== null) findings.push(findingOf("colliding_sequences", "warning", text, []));
  }
  return findings;
}

function describe(name: string, schemas: readonly string[], same: string | null): string {
  const more = schemas.length > SHOWN ? ` and ${schemas.length - SHOWN} more` : "";
  const already = same ? `; ids collide already: ${same}` : "";
  return (
    `the sequence ${name} can produce the same values in ${schemas.slice(0, SHOWN).join(", ")}${more}${already}. ` +
    "If ids have to be unique across all shards, run `shardferry sequences assign --mode=interleave`"
  );
}

/** For rows from before the sequences had values of their own. */
const describeOld = (same: string): string =>
  `ids collide: ${same}. New ids no longer do; if old ids have to be unique, too, change those rows`;

/** Describes an id that two shards have, if there is one in the samples. */
async function idsInCommon(placed: readonly Placed[]): Promise<string | null> {
  const columns = new Map<string, { table: string; column: string; places: Placed[] }>();
  for (const one of placed) {
    for (const { table, column, indexed } of one.sequence.columns) {
      if (!indexed) continue;
      const key = JSON.stringify([table, column]);
      const known = columns.get(key) ?? { table, column, places: [] };
      known.places.push(one);
      columns.set(key, known);
    }
  }
  for (const { table, column, places } of columns.values()) {
    if (places.length < 2) continue;
    const found = await idInCommon(table, column, places.slice(0, ASKED));
    if (found !== null) return found;
  }
  return null;
}

/** Ids of one shard may be too large for the column of another, if a change of its type is only half done. */
const fits = (id: string, width: number | null): boolean =>
  width === null || (/^-?\d+$/.test(id) && BigInt(id) <= highest(width) && BigInt(id) >= -highest(width));

async function idInCommon(table: string, column: string, places: readonly Placed[]): Promise<string | null> {
  const seen = new Map<string, string>();
  let lookedInto = 0;
  for (const { shard, sequence } of places) {
    const width = sequence.columns.find((one) => one.table === table && one.column === column)?.width ?? null;
    const [from, id] = [qualified(sequence.schema, table), ident(column)];
    const { rows } = await shard.island.client.query<{ known: boolean; id: string }>(
      `(SELECT true AS known, ${id}::text AS id FROM ${from} WHERE ${id} = ANY ($1) LIMIT 1)
       UNION ALL (SELECT false, ${id}::text FROM ${from} WHERE ${id} IS NOT NULL ORDER BY ${id} LIMIT ${SAMPLE})`,
      [[...seen.keys()].filter((value) => fits(value, width))],
    );
    const common = rows.find(({ known }) => known)?.id;
    if (common !== undefined)
      return `${table}.${column} = ${common} is in ${seen.get(common)} and ${sequence.schema}`;
    for (const row of rows) seen.set(row.id, sequence.schema);
    if (rows.length > 0 && ++lookedInto === LOOKED_INTO) break;
  }
  return null;
}

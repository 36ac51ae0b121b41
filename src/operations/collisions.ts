import type { ConnectedIsland } from "../postgres/discover.ts";
import { ident, qualified } from "../postgres/quote.ts";
import { colliding, reachOf } from "../sequences/collisions.ts";
import type { ShardSequence } from "../sequences/read.ts";
import type { Finding } from "./doctor.ts";
import { activeSequences, type ShardSequences } from "./sequences.ts";

/** A sequence with the shard that it is in. */
interface Placed {
  readonly shard: ShardSequences;
  readonly sequence: ShardSequence;
}

/** Names that are shown; the rest is counted. */
const SHOWN = 5;
/** Ids of one shard that are looked for in another one. */
const SAMPLE = 1000;
/** Pairs of shards that are looked into for each sequence. */
const PAIRS = 20;

/** Sequences of the same name that hand out the same values in several shards, and ids that several have already. */
export async function collidingSequences(islands: readonly ConnectedIsland[]): Promise<Finding[]> {
  const shards = (await Promise.all(islands.map((island) => activeSequences(island)))).flat();
  const byName = new Map<string, Placed[]>();
  for (const shard of shards) {
    for (const sequence of shard.sequences) {
      byName.set(sequence.name, [...(byName.get(sequence.name) ?? []), { shard, sequence }]);
    }
  }
  const findings: Finding[] = [];
  for (const [name, placed] of [...byName].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const names = new Set(
      colliding(placed.map(({ sequence }) => reachOf(sequence.schema, sequence.numbers))),
    );
    if (names.size === 0) continue;
    const same = await idsInCommon(placed.filter(({ sequence }) => names.has(sequence.schema)));
    findings.push({ island: null, severity: "warning", text: describe(name, [...names], same) });
  }
  return findings;
}

function describe(name: string, schemas: readonly string[], same: string | null): string {
  const more = schemas.length > SHOWN ? ` and ${schemas.length - SHOWN} more` : "";
  const already = same ? `; ids collide already: ${same}` : "";
  return (
    `the sequence ${name} can produce the same values in ${schemas.slice(0, SHOWN).join(", ")}${more}${already}. ` +
    "Where ids have to be unique over all shards: `shardferry sequences assign --mode=interleave`"
  );
}

/** An id that two shards have, in words; looked for in samples of neighbouring shards only. */
async function idsInCommon(placed: readonly Placed[]): Promise<string | null> {
  for (let i = 1; i < Math.min(placed.length, PAIRS + 1); i++) {
    const [one, other] = [placed[i - 1]!, placed[i]!];
    for (const { table, column, indexed } of one.sequence.columns) {
      const there = other.sequence.columns.find((each) => each.table === table && each.column === column);
      if (!indexed || !there?.indexed) continue;
      const ids = await idsOf(one, table, column, null);
      const common = await idsOf(other, table, column, ids);
      if (common.length > 0) {
        return `${table}.${column} = ${common[0]} is in ${one.sequence.schema} and ${other.sequence.schema}`;
      }
    }
  }
  return null;
}

async function idsOf(
  { shard, sequence }: Placed,
  table: string,
  column: string,
  among: string[] | null,
): Promise<string[]> {
  const { rows } = await shard.island.client.query<{ id: string }>(
    `SELECT ${ident(column)}::text AS id FROM ${qualified(sequence.schema, table)}
     WHERE ${among ? `${ident(column)} = ANY ($1)` : `${ident(column)} IS NOT NULL`} ORDER BY ${ident(column)} LIMIT ${SAMPLE}`,
    among ? [among] : [],
  );
  return rows.map(({ id }) => id);
}

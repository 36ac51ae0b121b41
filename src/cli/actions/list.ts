import { ISLANDS, RATE, SETTINGS, VERBOSE } from "../../config/options.ts";
import { age, bytes, count, percent, plural, weight } from "../../format.ts";
import type { IslandLayout, Layout, ShardInfo } from "../../layout/read.ts";
import type { ShardStatistics } from "../../layout/statistics.ts";
import type { OldCopy, OpenWayBack } from "../../layout/ways-back.ts";
import { defineAction } from "../action.ts";
import { hang, plainTable, type TextArea } from "../table.ts";
import type { Ui } from "../ui.ts";

export const list = defineAction({
  options: { ...ISLANDS, weightSql: SETTINGS.weightSql, verbose: VERBOSE, rateMs: RATE },
  examples: [
    "shardferry list --dsns=host1,host2",
    "shardferry list --rate=10s",
    "shardferry list --weight-sql=\"SELECT count(*) || ' users', max(id) AS last FROM users\"",
  ],

  async run({ ui, load }) {
    const { settings, request: given } = await load();
    const { list: readList } = await import("../../operations/list.ts");
    const { verbose = false, rateMs } = given;
    const layout = await readList(settings, { statistics: verbose, rateMs });
    ui.result(toJson(layout), () => renderLayout(layout, ui));
  },
});

/** Sum of the weights, without the noise of binary fractions. */
const total = (shards: readonly ShardInfo[]): number =>
  Number(shards.reduce((sum, shard) => sum + shard.weight, 0).toPrecision(12));

function toJson({ islands }: Layout): object {
  const everything = islands.reduce((sum, { shards }) => sum + total(shards), 0);
  return {
    islands: islands.map(({ shards, ...island }) => {
      const sum = total(shards);
      return {
        ...island,
        weight: sum,
        unit: shards[0]?.unit ?? null,
        share: everything > 0 ? sum / everything : 0,
        shards: shards.map((shard) => ({ ...shard, share: sum > 0 ? shard.weight / sum : 0 })),
      };
    }),
  };
}

/** Shows which shards are where. */
export function renderLayout(layout: Layout, ui: TextArea): string {
  const { colors } = ui;
  const all = layout.islands.flatMap(({ shards }) => shards);
  const everything = total(all);
  const parts = layout.islands.map((island) => {
    const sum = total(island.shards);
    const head = hang(ui, `${colors.bold(island.island)}  `, describeIsland(island, sum, everything));
    const table = island.shards.length === 0 ? [] : [shardTable(layout, island, sum, ui)];
    return [head, ...table, ...waysBack(island, ui)].join("\n");
  });
  const [islands, shards] = [plural(layout.islands.length, "island"), plural(all.length, "shard")];
  parts.push(colors.bold(`Total: ${weight(everything, all[0]?.unit ?? "B")}, ${islands}, ${shards}`));
  return parts.join("\n\n");
}

function describeIsland({ installed, shards }: IslandLayout, sum: number, everything: number): string {
  if (!installed) return "the SQL API is not installed (shardferry install)";
  if (shards.length === 0) return "no shards";
  const share = everything > 0 ? `, ${percent(sum / everything)} of all` : "";
  return `${plural(shards.length, "shard")}, ${weight(sum, shards[0]!.unit)}${share}`;
}

/** The open ways back of an island's shards, and the old copies there to which shards can come back. */
function waysBack({ shards, oldCopies = [] }: IslandLayout, ui: TextArea): string[] {
  const ways = shards.flatMap(({ schema, wayBack }) =>
    wayBack ? [hang(ui, `  * ${schema}  `, describeWay(wayBack))] : [],
  );
  const copies = oldCopies.map((copy) => hang(ui, `  - ${copy.schema}  `, describeOldCopy(copy)));
  return [...ways, ...copies];
}

function describeWay({ to, expiresAt, walKeptBytes, lagBytes }: OpenWayBack): string {
  const wal =
    walKeptBytes === null || lagBytes === null
      ? "WAL that it needs is gone"
      : `${bytes(walKeptBytes)} of WAL kept for it, ${bytes(lagBytes)} behind`;
  return `can go back to ${to}${untilWhen(expiresAt)}: ${wal}`;
}

const describeOldCopy = ({ from, expiresAt, open }: OldCopy): string =>
  open
    ? `not active: the old copy, kept in step for the way back from ${from}${untilWhen(expiresAt)}`
    : `not active: an old copy; its way back from ${from} is being opened or closed, or ${from} is not among --dsns`;

function untilWhen(expiresAt: string | null): string {
  if (expiresAt === null) return "";
  const left = Math.max(0, Date.parse(expiresAt) - Date.now());
  return ` until ${expiresAt.slice(0, 16).replace("T", " ")} UTC (${age(left)} left)`;
}

/** Lays out the shards in as many columns as fit, so that a hundred shards do not scroll away. */
function shardTable(layout: Layout, { shards }: IslandLayout, sum: number, ui: TextArea): string {
  const { colors } = ui;
  // Elsewhere than in a terminal, too, a hundred shards are easier to read in columns.
  const width = Number.isFinite(ui.columns) ? ui.columns : 80;
  const header = ["Shard", layout.weightName, "Share", "Factor", ...extraNames(shards)];
  const rows = shards.map((shard) => [
    shard.wayBack ? `${shard.schema}*` : shard.schema,
    weight(shard.weight, shard.unit),
    sum > 0 ? percent(shard.weight / sum) : "-",
    String(shard.factor),
    ...extraCells(shard),
  ]);
  const one = plainTable(header, rows, wide(colors)).split("\n");
  const gap = "    ";
  const columnWidth = Math.max(
    ...plainTable(header, rows, wide(NO_COLORS))
      .split("\n")
      .map((line) => line.length),
  );
  const columns = Math.max(1, Math.floor((width - 2 + gap.length) / (columnWidth + gap.length)));
  if (columns === 1 || rows.length <= 10)
    return plainTable(header, rows, { colors, columns: ui.columns - 2 })
      .split("\n")
      .map((line) => `  ${line}`)
      .join("\n");
  const perColumn = Math.ceil(rows.length / Math.min(columns, Math.ceil(rows.length / 5)));
  const lines = Array.from({ length: perColumn + 1 }, () => "");
  for (let at = 0; at < rows.length; at += perColumn) {
    const part = rows.slice(at, at + perColumn);
    const plain = [
      plainTable(header, rows, wide(NO_COLORS)).split("\n")[0]!,
      ...one.slice(at + 1, at + 1 + part.length),
    ];
    for (const [i, line] of plain.entries()) {
      lines[i] +=
        `${at === 0 ? "  " : gap}${i === 0 ? colors.dim(line.padEnd(columnWidth)) : line.padEnd(columnWidth)}`;
    }
  }
  return lines.map((line) => line.trimEnd()).join("\n");
}

const NO_COLORS = { dim: (text: string) => text } as Ui["colors"];
const wide = (colors: Ui["colors"]): TextArea => ({ colors, columns: Infinity });

const COUNTERS = {
  inserts: "Inserts",
  updates: "Updates",
  deletes: "Deletes",
  indexScans: "Index scans",
  sequentialScans: "Seq scans",
} satisfies Record<keyof ShardStatistics, string>;
const COUNTED = Object.keys(COUNTERS) as (keyof ShardStatistics)[];

function extraNames(shards: readonly ShardInfo[]): string[] {
  const [first] = shards;
  const names = Object.values(COUNTERS);
  return [
    ...Object.keys(first?.other ?? {}),
    ...(first?.statistics ? ["Tables", "Bytes", ...names] : []),
    ...(first?.rates !== undefined ? names.map((name) => `${name}/s`) : []),
  ];
}

function extraCells({ other, statistics, rates, tables, bytes: size }: ShardInfo): string[] {
  return [
    ...Object.values(other),
    ...(statistics ? [count(tables), bytes(size), ...COUNTED.map((of) => count(statistics[of]))] : []),
    ...(rates !== undefined ? COUNTED.map((of) => (rates ? perSecond(rates[of]) : "-")) : []),
  ];
}

const perSecond = (rate: number): string => (rate < 10 ? String(rate) : count(Math.round(rate)));

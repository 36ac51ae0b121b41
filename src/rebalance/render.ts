/**
 * A plan as text: bars of each island's weight before and after, the moves, the totals. Readable without colour.
 */
import wrapAnsi from "wrap-ansi";

import { bytes, plural } from "../format.ts";
import { shortNames } from "../short-names.ts";
import type { IslandRole, Layout, Plan, PlannedMove } from "./types.ts";

/** How an island compares with the mean, for colouring it. */
export type Tone = "heavy" | "light" | "even" | "faint";

export interface RenderOptions {
  /** Columns of the terminal. */
  width: number;
  /** Shows a weight with its unit. @default bytes */
  formatWeight?: (weight: number) => string;
  /** Colours a piece of text; by default nothing is coloured. */
  paint?: (text: string, tone: Tone) => string;
  /** Moves of the plan that the rebalance does not make. @default 0 */
  remaining?: number;
}

/** The distance from the mean, as a share of it, beyond which an island counts as heavy or light. */
const NOTABLE = 0.05;
const EIGHTHS = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
/** The width in columns that a bar should have, the least that it has, and the least that a name has. */
const GOOD_BAR = 15;
const SHORTEST_BAR = 6;
const SHORTEST_NAME = 12;
const GAP = "  ";
const INDENT = "  ";

/** Renders the whole plan: layout, moves, totals and what stays behind. */
export function renderPlan(plan: Plan, options: RenderOptions): string {
  const parts = [renderLayout(plan, options)];
  if (plan.moves.length > 0) parts.push(renderMoves(plan.moves, options.width));
  parts.push(wrapped(renderTotals(plan, options.remaining), options.width));
  return parts.join("\n\n");
}

/**
 * Renders a line for each island: its name, its shards, and bars of its weight before and after, on one
 * scale. The mark ┊ in a bar is the mean.
 */
export function renderLayout(plan: Plan, options: RenderOptions): string {
  const { formatWeight = bytes, paint = (text) => text, width } = options;
  const before = plan.before.map(weightOf);
  const after = plan.after.map(weightOf);
  const staying = after.filter((_, i) => plan.roles[i] === "member");
  const mean = staying.reduce((a, b) => a + b, 0) / Math.max(1, staying.length);
  const heaviest = Math.max(...before, ...after, 0);

  const counts = alignRight(["shards", ...plan.before.map((_, i) => shardCounts(plan, i))]);
  const [was, becomes] = [before, after].map((loads) => alignRight(["", ...loads.map(formatWeight)])) as [
    string[],
    string[],
  ];
  const room = width - [counts, was, becomes].reduce((sum, cells) => sum + cells[0]!.length, 5 * GAP.length);
  const widest = Math.max(SHORTEST_NAME, room - 2 * GOOD_BAR);
  const islands = shortened(
    plan.before.map(({ island }) => island),
    widest,
  );
  // A name that tells islands apart is worth more than a long bar.
  const most = Math.max(widest, room - 2 * SHORTEST_BAR);
  const names = alignLeft(["", ...islands.map((island, i) => label(island, plan.roles[i]!, most))]);
  const bar = Math.max(SHORTEST_BAR, Math.floor((room - names[0]!.length) / 2));

  const heading = [names[0], counts[0], "before".padEnd(bar), was[0], "after".padEnd(bar)]
    .join("  ")
    .trimEnd();
  const lines = plan.before.map((_, i) => {
    const role = plan.roles[i]!;
    const show = (weight: number): string =>
      paint(drawBar(weight, heaviest, role === "member" ? mean : null, bar), toneOf(weight, mean, role));
    const cells = [
      names[i + 1],
      counts[i + 1],
      show(before[i]!),
      was[i + 1],
      show(after[i]!),
      becomes[i + 1],
    ];
    return cells.join(GAP);
  });
  return [heading, ...lines].join("\n");
}

/** Renders the moves, grouped by their two islands. */
export function renderMoves(moves: readonly PlannedMove[], width: number): string {
  const routes = new Map<string, PlannedMove[]>();
  for (const move of moves) {
    const title = `${move.from} → ${move.to}`;
    routes.set(title, [...(routes.get(title) ?? []), move]);
  }
  return [...routes]
    .map(([title, list]) => {
      const size = list.reduce((sum, move) => sum + move.bytes, 0);
      const schemas = list.map(({ schema }) => schema);
      const heading = `${title}: ${plural(list.length, "shard")}, ${bytes(size)}`;
      return `${wrapped(heading, width)}\n${indented(wrapped(schemas.join(" "), width - INDENT.length))}`;
    })
    .join("\n");
}

/** Renders the plan's figures, and which global shards have to be moved by hand. */
function renderTotals(
  { moves, bytes: moved, before, spreadBefore, spreadAfter, stays, avoided }: Plan,
  remaining = 0,
): string {
  const all = before.flatMap(({ shards }) => shards).reduce((sum, shard) => sum + shard.bytes, 0);
  const share = all > 0 ? ` (${percent(moved / all)} of all)` : "";
  const lines =
    moves.length === 0
      ? [
          `Nothing to move: no move would be worthwhile. The spread, (heaviest - lightest) / mean, is ${percent(spreadBefore)}.`,
        ]
      : [
          `${plural(moves.length, "move")}, ${bytes(moved)}${share}`,
          `Spread, (heaviest - lightest) / mean: ${percent(spreadBefore)} before, ${percent(spreadAfter)} after`,
        ];
  if (remaining > 0) {
    lines.push(
      `One rebalance makes ${moves.length - remaining} of them; ${plural(remaining, "more move")} ${remaining === 1 ? "remains" : "remain"} after that: run rebalance again.`,
    );
  }
  for (const { schema, island } of stays) {
    lines.push(`${schema} stays on ${island}: the global shard moves only by an explicit move.`);
  }
  for (const { schema, island } of avoided) {
    lines.push(
      `${schema} does not go to ${island}: an inactive schema of that name is in the way (cleanup).`,
    );
  }
  return lines.join("\n");
}

function weightOf({ shards }: Layout[number]): number {
  return shards.reduce((sum, { weight }) => sum + weight, 0);
}

/** The names as they are, or, where one of them is too long, without what they have in common. */
function shortened(islands: readonly string[], widest: number): readonly string[] {
  return islands.some((island) => island.length > widest) ? islands.map(shortNames(islands)) : islands;
}

/**
 * An island's name with a note if its role is special; a long name loses its middle, since either end may
 * distinguish it.
 */
function label(island: string, role: IslandRole, widest: number): string {
  const notes: Record<IslandRole, string> = { member: "", decommissioned: " (leaves)", global: " (global)" };
  const room = widest - notes[role].length;
  const head = Math.ceil((room - 1) / 2);
  const cut = `${island.slice(0, head)}…${island.slice(island.length - (room - 1 - head))}`;
  return (island.length > room ? cut : island) + notes[role];
}

function shardCounts({ before, after }: Plan, i: number): string {
  const [now, then] = [before[i]!.shards.length, after[i]!.shards.length];
  return now === then ? `${now}` : `${now} → ${then}`;
}

function toneOf(weight: number, mean: number, role: IslandRole): Tone {
  if (role !== "member") return "faint";
  if (weight > mean * (1 + NOTABLE)) return "heavy";
  return weight < mean * (1 - NOTABLE) ? "light" : "even";
}

/** Draws a bar in eighths of a column, with a mark at the mean if the bar does not reach it. */
function drawBar(value: number, full: number, mean: number | null, width: number): string {
  const eighths = full > 0 ? Math.round((value / full) * width * 8) : 0;
  // Anything above zero is shown, however small.
  const shown = value > 0 ? Math.max(1, eighths) : 0;
  const bar = "█".repeat(Math.floor(shown / 8)) + EIGHTHS[shown % 8]!;
  const mark = mean === null || full <= 0 ? -1 : Math.min(width - 1, Math.floor((mean / full) * width));
  return mark < bar.length ? bar.padEnd(width) : (bar.padEnd(mark) + "┊").padEnd(width);
}

function alignLeft(cells: string[]): string[] {
  const width = Math.max(...cells.map(({ length }) => length));
  return cells.map((cell) => cell.padEnd(width));
}

function alignRight(cells: string[]): string[] {
  const width = Math.max(...cells.map(({ length }) => length));
  return cells.map((cell) => cell.padStart(width));
}

const indented = (text: string): string => text.replaceAll(/^/gm, INDENT);

/** Breaks a text between words, at the width of the terminal. */
export const wrapped = (text: string, width: number): string => wrapAnsi(text, width);

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

import { readFileSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { fileURLToPath } from "node:url";

/** A table of results, with a few words on what was measured. */
export interface Section {
  title: string;
  text: string;
  header: string[];
  rows: string[][];
  /** Shown below the table. */
  notes?: string[];
}

const DOCUMENT = fileURLToPath(new URL("../docs/benchmarks.md", import.meta.url));
const BEGIN = "<!-- bench:begin -->";
const END = "<!-- bench:end -->";

/** Renders a section as Markdown, with aligned columns, so that it is readable in a terminal, too. */
export function render({ title, text, header, rows, notes = [] }: Section): string {
  const widths = header.map((name, i) => Math.max(name.length, ...rows.map((row) => (row[i] ?? "").length)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join(" | ")} |`;
  const rule = widths.map((width, i) => (i === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`));
  const table = [line(header), line(rule), ...rows.map(line)].join("\n");
  return [`### ${title}`, text, table, ...notes].filter(Boolean).join("\n\n");
}

/** Describes the machine that the figures were measured on. */
export function describeMachine(postgres: string, scale: number): string {
  const memory = Math.round(totalmem() / 2 ** 30);
  const model = cpus()[0]?.model.trim() || "unknown processor";
  const size = scale === 1 ? "" : ` Data scaled by ${scale}.`;
  return (
    `Measured on ${new Date().toISOString().slice(0, 10)} with ${cpus().length} cores (${model}), ${memory} GiB of memory, ` +
    `PostgreSQL ${postgres} (two servers, fsync on), Temporal's development server and Node.js ${process.versions.node}, ` +
    `all on this one machine.${size}`
  );
}

/** Replaces the figures in docs/benchmarks.md: all of them or, with `keepOthers`, only the given sections. */
export function writeDocument(machine: string, sections: readonly Section[], keepOthers: boolean): void {
  const text = readFileSync(DOCUMENT, "utf8");
  const [before, rest] = text.split(BEGIN);
  const [old, after] = rest?.split(END) ?? [];
  if (before === undefined || old === undefined || after === undefined)
    throw new Error(`docs/benchmarks.md lacks ${BEGIN} or ${END}`);
  const figures = new Map(keepOthers ? sectionsOf(old) : []);
  for (const section of sections) figures.set(section.title, render(section));
  writeFileSync(
    DOCUMENT,
    `${before}${BEGIN}\n\n${[machine, ...figures.values()].join("\n\n")}\n\n${END}${after}`,
  );
}

/** Returns the sections of the document, by title. */
function sectionsOf(figures: string): [title: string, text: string][] {
  const [, ...sections] = figures.split(/^### /m);
  return sections.map((text) => [text.split("\n")[0]!, `### ${text.trim()}`]);
}

/** Returns the median of some numbers. */
export const median = (values: readonly number[]): number => quantile(values, 0.5);

/** Returns the value below which the given share of the numbers lies. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN;
}

export const seconds = (ms: number): string => `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
export const millis = (ms: number): string => `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;
export const megabytes = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`;

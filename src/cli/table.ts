import stringWidth from "string-width";

import type { Ui } from "./ui.ts";
import { Sheet } from "./view/sheet.ts";

/** Where a text is shown: with which colors, and in how many columns. */
export type TextArea = Pick<Ui, "colors" | "columns">;

/** Lays out a text after its head, and wraps it in a terminal. */
export const hang = ({ columns }: Pick<TextArea, "columns">, head: string, text: string): string =>
  new Sheet(columns, Infinity).hang(head, text).join("\n");

/** Columns in which every cell is a number (with a unit or percent sign) are right-aligned. */
const NUMBER = /^[-+]?[\d,.]+( ?[A-Za-z%]+)?$|^-?$/;
const GAP = "  ";
/** A column of text that would be narrower than this is not wrapped: the rows become blocks. */
const NARROWEST = 24;

/**
 * Lays out a table without lines: a dim header, columns two spaces apart. If it is wider than the terminal, its widest column
 * is wrapped, or if that leaves too little of it, every row becomes a block of lines.
 */
export function plainTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  ui: TextArea,
): string {
  const { colors, columns } = ui;
  const widths = header.map((title, i) =>
    rows.reduce((width, row) => Math.max(width, stringWidth(row[i] ?? "")), stringWidth(title)),
  );
  const right = header.map((_, i) => rows.length > 0 && rows.every((row) => NUMBER.test(row[i] ?? "")));
  const excess = widths.reduce((sum, width) => sum + width, GAP.length * (widths.length - 1)) - columns;
  const widest = widths.reduce((best, width, i) => (!right[i] && width > (widths[best] ?? 0) ? i : best), 0);
  if (excess > 0) {
    if (right[widest] || widths[widest]! - excess < NARROWEST) return blocks(header, rows, ui);
    widths[widest]! -= excess;
  }
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => {
        const blank = " ".repeat(Math.max(widths[i]! - stringWidth(cell), 0));
        return right[i] ? blank + cell : cell + blank;
      })
      .join(GAP)
      .trimEnd();
  const wrapped = (row: readonly string[]): string[] => {
    const parts = new Sheet(widths[widest]!, Infinity).hang("", row[widest] ?? "");
    return parts.map((part, n) => line(row.map((cell, i) => (i === widest ? part : n === 0 ? cell : ""))));
  };
  return [colors.dim(line(header)), ...(excess > 0 ? rows.flatMap(wrapped) : rows.map(line))].join("\n");
}

/** The first cell of each row as a heading, and a line for each other cell that is not empty. */
function blocks(
  [, ...titles]: readonly string[],
  rows: readonly (readonly string[])[],
  { colors, columns }: TextArea,
): string {
  const width = Math.max(...titles.map((title) => stringWidth(title)));
  const sheet = new Sheet(columns, Infinity);
  const block = ([first = "", ...cells]: readonly string[]): string[] => [
    ...sheet.hang("", first).map(colors.bold),
    ...cells.flatMap((cell, i) => {
      const title = titles[i]!;
      const blank = " ".repeat(width - stringWidth(title));
      return cell === "" ? [] : sheet.hang(`  ${colors.dim(title)}${blank}  `, cell);
    }),
  ];
  return rows.flatMap(block).join("\n");
}

import stringWidth from "string-width";

import type { Ui } from "./ui.ts";

/** Columns in which every cell is a number (with a unit or percent sign) are right-aligned. */
const NUMBER = /^[-+]?[\d,.]+( ?[A-Za-z%]+)?$|^-?$/;

/** Lays out a table without lines: a dim header, columns two spaces apart. */
export function plainTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  colors: Ui["colors"],
): string {
  const widths = header.map((title, i) =>
    rows.reduce((width, row) => Math.max(width, stringWidth(row[i] ?? "")), stringWidth(title)),
  );
  const right = header.map((_, i) => rows.length > 0 && rows.every((row) => NUMBER.test(row[i] ?? "")));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => {
        const blank = " ".repeat(Math.max(widths[i]! - stringWidth(cell), 0));
        return right[i] ? blank + cell : cell + blank;
      })
      .join("  ")
      .trimEnd();
  return [colors.dim(line(header)), ...rows.map(line)].join("\n");
}

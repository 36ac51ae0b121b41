import stringWidth from "string-width";
import wrapAnsi from "wrap-ansi";

import { clip } from "./clip.ts";

/** With less room than this beside its head, a text begins on the next line. */
const NARROW = 36;
const INDENT = 6;

/** Characters that would move the cursor; a newline begins a line, an escape a color. */
const CONTROL = /\p{Cc}/gu;
const KEPT = ["\n", String.fromCharCode(27)];

/** The space between a number and its unit: a line does not end there. */
const UNIT = /(\d) (?=(?:s|ms|min|h|d|B|[KMGT]iB)\b)/g;

type Paint = (text: string) => string;

const unpainted: Paint = (text) => text;

/** A terminal of a certain size, and how text is laid out on it: nothing is wider, and nothing is lost. */
export class Sheet {
  readonly columns: number;
  readonly rows: number;

  constructor(columns: number, rows: number) {
    this.columns = columns;
    this.rows = rows;
  }

  /**
   * Lays out a text after its head: on the same line, wrapped beside the head, or below it where that would be too narrow.
   * A text of several lines keeps them.
   */
  hang(head: string, text: string, paint = unpainted): string[] {
    const width = stringWidth(head);
    const shown = text.replace(CONTROL, (letter) => (KEPT.includes(letter) ? letter : " ")).trimEnd();
    if (shown === "") return this.#wrapped(head, this.columns);
    if (this.columns - width >= NARROW || width + stringWidth(shown) <= this.columns)
      return this.#wrapped(shown, this.columns - width).map(
        (line, i) => (i === 0 ? head : " ".repeat(width)) + paint(line),
      );
    return [
      ...this.#wrapped(head, this.columns),
      ...this.#wrapped(shown, this.columns - INDENT).map((line) => " ".repeat(INDENT) + paint(line)),
    ];
  }

  /** Lays out a text that may lose its end: one line. */
  cut(head: string, text: string, paint = unpainted): string {
    return clip(head + paint(text.split("\n")[0]!), this.columns);
  }

  #wrapped(text: string, columns: number): string[] {
    return wrapAnsi(text.replace(UNIT, "$1\u00a0"), columns, { hard: true, trim: false })
      .replaceAll("\u00a0", " ")
      .split("\n")
      .map((line, i) => (i === 0 ? line : line.trimStart()).trimEnd());
  }
}

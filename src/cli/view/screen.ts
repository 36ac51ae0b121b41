import { clip } from "./clip.ts";
import { Sheet } from "./sheet.ts";

/** No wrapping, in case the terminal is made narrower meanwhile: each line must take exactly one row. */
const NO_WRAP = "\x1b[?7l";
const WRAP = "\x1b[?7h";

/** A block of lines at the bottom of a terminal that is redrawn in place. */
export class Screen {
  readonly #stream: NodeJS.WriteStream;
  #drawn = 0;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  /** The terminal as it is now. */
  get sheet(): Sheet {
    return new Sheet(this.#stream.columns || 80, this.#stream.rows || 24);
  }

  draw(lines: readonly string[]): void {
    const clipped = lines.map((line) => clip(line, this.#stream.columns || 80));
    this.#stream.write(`${this.#erase()}${NO_WRAP}${clipped.join("\n")}\n${WRAP}`);
    this.#drawn = lines.length;
  }

  /** Removes the block; the next output takes its place. */
  clear(): void {
    this.#stream.write(this.#erase());
    this.#drawn = 0;
  }

  /** Leaves the block as it is. */
  keep(): void {
    this.#drawn = 0;
  }

  #erase(): string {
    return this.#drawn === 0 ? "" : `\x1b[${this.#drawn}A\x1b[J`;
  }
}

/** Clips long lines instead of wrapping them, so that the number of lines drawn is the number of rows taken. */
const NO_WRAP = "\x1b[?7l";
const WRAP = "\x1b[?7h";

/** A block of lines at the bottom of a terminal that is drawn again and again in its place. */
export class Screen {
  readonly #stream: NodeJS.WriteStream;
  #drawn = 0;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  get rows(): number {
    return this.#stream.rows || 24;
  }

  draw(lines: readonly string[]): void {
    this.#stream.write(`${this.#erase()}${NO_WRAP}${lines.join("\n")}\n${WRAP}`);
    this.#drawn = lines.length;
  }

  /** Removes the block; what is printed next stands where it was. */
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

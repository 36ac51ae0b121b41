import pc from "picocolors";

import { messageOf, ShardferryError, UsageError } from "../errors.ts";
import { type Dsn } from "../postgres/islands/dsn.ts";
import { redact } from "../postgres/islands/redact.ts";

/** The output of an action: its progress and its result, each written where the command line asks for it. */
export class Ui {
  readonly json: boolean;
  /** True if a person is watching and can press keys. */
  readonly interactive: boolean;
  readonly colors: ReturnType<typeof pc.createColors>;
  /** Where progress and logs go. */
  readonly progress: NodeJS.WriteStream;
  /** The passwords of these are hidden in all output. */
  dsns: readonly Dsn[] = [];
  readonly #writeDocument: (text: string) => void;

  constructor(json: boolean) {
    this.json = json;
    const write = process.stdout.write.bind(process.stdout);
    this.#writeDocument = (text) => void write(text);
    this.progress = json ? process.stderr : process.stdout;
    // stdout takes one document and nothing else: whatever a config file or a library prints goes to the progress.
    if (json) process.stdout.write = process.stderr.write.bind(process.stderr);
    this.interactive = Boolean(process.stdin.isTTY && this.progress.isTTY);
    this.colors = pc.createColors(pc.isColorSupported && Boolean(this.progress.isTTY));
  }

  /** Columns of the terminal for text; without a terminal, lines may be as long as they are. */
  get columns(): number {
    return this.progress.isTTY ? this.progress.columns || 80 : Infinity;
  }

  /** Writes one line of progress; outside a terminal, with the time. */
  say(line: string, at = new Date()): void {
    const text = redact(line, this.dsns);
    this.progress.write(
      this.progress.isTTY ? `${text}\n` : `${at.toISOString()} ${text.replaceAll("\n", " ")}\n`,
    );
  }

  /** Writes a line of progress as JSON. */
  document(entry: object): void {
    const masked = (_: string, value: unknown): unknown =>
      typeof value === "string" ? redact(value, this.dsns) : value;
    this.progress.write(`${JSON.stringify(entry, masked)}\n`);
  }

  /** Writes the result of the action: as text, or as the one JSON document. */
  result(document: unknown, text: () => string): void {
    if (this.json) return this.#writeDocument(`${JSON.stringify(document)}\n`);
    const shown = redact(text(), this.dsns).trimEnd();
    if (shown) process.stdout.write(`${shown}\n`);
  }

  /** Writes why the action failed. */
  error(error: unknown): void {
    const code = error instanceof ShardferryError ? error.code : "error";
    const message = redact(messageOf(error), this.dsns);
    if (this.json) this.#writeDocument(`${JSON.stringify({ error: { code, message } })}\n`);
    else {
      const hint = error instanceof UsageError ? "\nSee shardferry --help, or the --help of the action." : "";
      process.stderr.write(
        `${pc.createColors(pc.isColorSupported && process.stderr.isTTY).red(message)}${hint}\n`,
      );
    }
  }
}

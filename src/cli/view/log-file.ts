import { closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";

import { messageOf } from "../../errors.ts";
import { runtimeFolder } from "../../machine/runtime-folder.ts";
import { timestampSuffix } from "../../postgres/schema/copy-names.ts";
import type { Line } from "../../watch/story.ts";

/**
 * The log of one move: `<tmp>/shardferry.<uid>/<timestamp>-<shard>.log`, readable by its owner only. A full disk or an
 * unwritable folder ends the log, never the move.
 */
export class LogFile {
  readonly #path: string;
  readonly #warn: (text: string) => void;
  #fd: number | null = null;
  #trouble: string | null = null;

  private constructor(path: string, warn: (text: string) => void) {
    this.#path = path;
    this.#warn = warn;
  }

  /** Opens the log of a schema; `warn` is called once, when the log can no longer be written. */
  static async open(schema: string, warn: (text: string) => void = () => undefined): Promise<LogFile> {
    const name = `${timestampSuffix(new Date())}-${schema.replace(/[^\w.-]+/g, "_")}.log`;
    try {
      const log = new LogFile(join(await runtimeFolder(), name), warn);
      log.#attempt(() => (log.#fd = openSync(log.#path, "a", 0o600)));
      return log;
    } catch (error) {
      const log = new LogFile(name, warn);
      log.#giveUp(error);
      return log;
    }
  }

  /** The path, or why there is no log. */
  get place(): string {
    return this.#trouble ?? this.#path;
  }

  write({ at, text, sql }: Line): void {
    const fd = this.#fd;
    if (fd === null) return;
    const statements = sql.map((statement) => `\n    ${statement.replaceAll("\n", "\n    ")}`);
    this.#attempt(() => writeSync(fd, `${at.toISOString()} ${text}${statements.join("")}\n`));
  }

  close(): void {
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }

  #attempt(use: () => void): void {
    try {
      use();
    } catch (error) {
      this.#giveUp(error);
    }
  }

  #giveUp(error: unknown): void {
    this.#trouble = `no log file: ${messageOf(error)}`;
    this.close();
    this.#warn(this.#trouble);
  }
}

import { closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";

import { timestampSuffix } from "../../postgres/names.ts";
import { runtimeFolder } from "../../runtime-folder.ts";
import type { Line } from "./story.ts";

/** The log of one move: `<tmp>/shardferry.<uid>/<timestamp>-<shard>.log`, for its owner's eyes only. */
export class LogFile {
  readonly path: string;
  readonly #fd: number;

  private constructor(path: string) {
    this.path = path;
    this.#fd = openSync(path, "a", 0o600);
  }

  static async open(schema: string): Promise<LogFile> {
    const name = `${timestampSuffix(new Date())}-${schema.replace(/[^\w.-]+/g, "_")}.log`;
    return new LogFile(join(await runtimeFolder(), name));
  }

  write({ at, text, sql }: Line): void {
    const statements = sql.map((statement) => `\n    ${statement.replaceAll("\n", "\n    ")}`);
    writeSync(this.#fd, `${at.toISOString()} ${text}${statements.join("")}\n`);
  }

  close(): void {
    closeSync(this.#fd);
  }
}

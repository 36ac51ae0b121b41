import { randomBytes } from "node:crypto";

import type { ClientBase } from "pg";

import type { IslandName } from "../../../contract/names.ts";
import { ShardferryError } from "../../errors.ts";
import { hasSqlstate, SQLSTATE } from "../errors/sqlstate.ts";
import { backendPid } from "../session.ts";
import type { Dsn } from "./dsn.ts";
import { LATE_SETTINGS } from "./session-settings.ts";

/** A connection pooler answers in place of PostgreSQL. What a session sets would reach sessions of the application. */
export class PoolerError extends ShardferryError {
  constructor(names: readonly IslandName[], options?: ErrorOptions) {
    super(
      "pooler",
      `A connection pooler (PgBouncer or the like) answers at ${names.join(", ")}. Moves need sessions of their own: ` +
        `give PostgreSQL's own host and port in the DSN`,
      options,
    );
  }
}

/** Differs for each process, so that a session that a pooler has kept from another one is recognized. */
const MARK = randomBytes(8).toString("hex");

/**
 * The options with which a session starts. A pooler refuses them, drops them, or has sent
 * others when it opened the session.
 */
export function sessionOptions(
  dsn: Dsn,
  settings: Readonly<Record<string, string>>,
  pgOptions?: string,
): string {
  const flags = Object.entries({ ...settings, "shardferry.mark": MARK }).map(
    ([key, value]) => `-c ${key}=${value.replace(/[\\ ]/g, "\\$&")}`,
  );
  return [dsn.params["options"], ...flags, pgOptions].filter(Boolean).join(" ");
}

/**
 * Completes a session that has just been opened. Throws PoolerError, without having set anything, if it is not one with
 * PostgreSQL itself: there the process that the server has announced runs the statements, and options arrive.
 */
export async function beginSession(client: ClientBase, name: IslandName): Promise<void> {
  const { rows } = await client.query<{ direct: boolean | null }>(
    `SELECT direct, (SELECT count(done) FROM (${LATE_SETTINGS} AND direct) late (done))
     FROM (SELECT pg_backend_pid() = ${backendPid(client)} AND current_setting('shardferry.mark', true) = '${MARK}') link (direct)`,
  );
  if (!rows[0]?.direct) throw new PoolerError([name]);
}

/** Turns the refusal of a pooler at the start of a session into PoolerError: PostgreSQL itself never breaks its protocol. */
export const asPoolerError = (error: unknown, name: IslandName): unknown =>
  hasSqlstate(error, SQLSTATE.protocolViolation) ? new PoolerError([name], { cause: error as Error }) : error;

import type { ClientBase } from "pg";

import type { IslandName } from "../../../contract/names.ts";
import { messageOf, ShardferryError } from "../../errors.ts";
import { islandOf, onIsland } from "../errors/origin.ts";
import { isSqlstate, sqlstateOf } from "../errors/sqlstate.ts";

/** What node-postgres says of a session that broke between two statements tells an operator nothing. */
const wordsOf = (cause: Error): string =>
  /is not queryable/.test(cause.message)
    ? "the connection was lost between two statements"
    : messageOf(cause);

/** A session with an island broke: its server went down, somebody ended it, or the network was cut. */
export class LostSessionError extends ShardferryError {
  override readonly retryable = true;

  constructor(island: IslandName, cause: Error) {
    super(
      "session_lost",
      `The session with ${island} broke (${wordsOf(cause)}): check its server and the network, then run the same command again`,
      { cause },
    );
  }
}

/** Errors of the network and of node-postgres, which have no SQLSTATE. */
const NETWORK_CODES = /^(ECONN|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EAI_AGAIN|ENOTFOUND)/;
const CONNECTION_MESSAGES =
  /connection terminated|connection.*timeout|timeout expired|timeout exceeded|server closed the connection|could not connect|connection to server|client was closed|is not queryable/i;

/** True for an error of the connection that the server did not send. */
export function isNetworkError(error: Error): boolean {
  const code = sqlstateOf(error);
  if (NETWORK_CODES.test(code)) return true;
  return !isSqlstate(code) && CONNECTION_MESSAGES.test(error.message);
}

/** With these the server ends a session: a broken connection, an idle transaction, a shutdown, an idle session. */
const ENDING = /^(08(000|003|006)|25P03|57P0[1235])$/;

const isLost = (error: Error): boolean => isNetworkError(error) || ENDING.test(sqlstateOf(error));

/** Makes the errors of a session's statements say on which island they arose. */
export function naming<C extends ClientBase>(client: C, name: IslandName): C {
  const query = client.query.bind(client) as (...args: unknown[]) => unknown;
  const named = (...args: unknown[]): unknown => {
    const result = query(...args);
    if (!(result instanceof Promise)) return result;
    return result.catch((error: Error) => Promise.reject(onIsland(name, error)));
  };
  return Object.assign(client, { query: named });
}

/**
 * Turns what a database has thrown into an error with a code, an island, and what to do; also where it is the cause of
 * another error. All others are returned as they are.
 */
export function explainLost(error: unknown): unknown {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    if (at instanceof LostSessionError) return at;
    const island = islandOf(at);
    // Without an island it is an error of another connection, such as that to Temporal.
    if (island !== undefined && !(at instanceof ShardferryError) && isLost(at))
      return new LostSessionError(island, at);
  }
  const island = islandOf(error);
  if (error instanceof ShardferryError || island === undefined) return error;
  const { hint } = error as { hint?: string };
  const text = `${island}: ${messageOf(error)}${hint ? `; hint: ${hint}` : ""}`;
  return new ShardferryError(sqlstateOf(error) || "error", text, { cause: error });
}

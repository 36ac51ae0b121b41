import { setTimeout as sleep } from "node:timers/promises";

import type { ClientBase, QueryResult } from "pg";

import { literal } from "./quote.ts";

/** Runs several statements in one round trip, and returns the rows of each. */
export async function rowsOfEach(
  client: ClientBase,
  statements: readonly string[],
): Promise<Record<string, unknown>[][]> {
  const results: unknown = await client.query(statements.join(";\n"));
  return [results].flat().map((result) => (result as QueryResult<Record<string, unknown>>).rows);
}

/** Runs several statements in one round trip, and returns the rows of the last one. */
export async function lastRows<Row extends object>(client: ClientBase, sql: string): Promise<Row[]> {
  return (await rowsOfEach(client, [sql])).at(-1) as Row[];
}

/**
 * Returns a statement that waits on the server until a condition is true, which takes no round trip for each look.
 *
 * @param late what it does when the time is over, in PL/pgSQL.
 */
export const untilSql = (condition: string, ms: number, late = "RETURN"): string =>
  `DO ${literal(
    `DECLARE until timestamptz := clock_timestamp() + interval '${Math.max(0, Math.round(ms))} ms';
     BEGIN
       WHILE NOT (${condition}) LOOP
         IF clock_timestamp() >= until THEN ${late}; END IF;
         PERFORM pg_sleep(0.001);
       END LOOP;
     END`,
  )}`;

/** Returns the pid of the backend of a session, which the types of node-postgres do not declare. */
export const backendPid = (client: ClientBase): number =>
  (client as unknown as { processID: number }).processID;

/**
 * Runs something long, and looks at it from other sessions at an interval until it ends; no look waits for another.
 * A look that fails (the server is restarting) shows nothing, and the next one may succeed.
 */
export async function whileLooking<T>(
  everyMs: number,
  looks: readonly (() => Promise<unknown>)[],
  work: () => Promise<T>,
): Promise<T> {
  const over = new AbortController();
  const looking = looks.map(async (look) => {
    for (;;) {
      await sleep(everyMs, undefined, { signal: over.signal }).catch(() => undefined);
      if (over.signal.aborted) return;
      await look().catch(() => undefined);
    }
  });
  try {
    return await work();
  } finally {
    over.abort();
    await Promise.all(looking);
  }
}

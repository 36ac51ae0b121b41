import { setTimeout as sleep } from "node:timers/promises";

import type { ClientBase, QueryResult } from "pg";

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

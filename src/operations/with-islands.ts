import { setTimeout as sleep } from "node:timers/promises";

import type { Settings } from "../config/settings.ts";
import { UsageError } from "../errors.ts";
import {
  type ConnectedIsland,
  type Unreachable,
  UnreachableError,
  withIslands,
  withReachable,
} from "../postgres/islands/discover.ts";
import { type Dsn, parseDsn } from "../postgres/islands/dsn.ts";
import { LostSessionError } from "../postgres/islands/lost-session.ts";

/** Returns the databases of the settings, and those that an option names by a full DSN. */
export function dsnsOf(settings: Settings, ...named: (string | undefined)[]): readonly Dsn[] {
  const whole = (text: string): boolean =>
    settings.dsns.length === 0 || text.includes("://") || text.includes("@");
  const further = named
    .filter((text): text is string => text !== undefined && whole(text))
    .map((text) => parseDsn(text, settings.env))
    .filter((dsn) => !settings.dsns.some(({ name }) => name === dsn.name));
  const dsns = [...settings.dsns, ...further];
  if (dsns.length > 0) return dsns;
  throw new UsageError(
    "No databases: give --dsns, or set DSNS, PGDSNS or PGHOST, or list them in shardferry.config.ts.",
  );
}

/** Milliseconds before each further try of what only reads. */
const PAUSES_MS = [200, 500, 1000];

/** Like withIslands, for what only reads: it runs again when a session breaks meanwhile. */
export async function readIslands<T>(
  dsns: readonly Dsn[],
  use: (islands: ConnectedIsland[]) => Promise<T>,
): Promise<T> {
  return againWhenLost(() => withIslands(dsns, use));
}

/** Like withReachable, for what only reads. */
export async function readReachable<T>(
  dsns: readonly Dsn[],
  use: (islands: ConnectedIsland[], unreachable: Unreachable[]) => Promise<T>,
): Promise<T> {
  return againWhenLost(() => withReachable(dsns, use));
}

async function againWhenLost<T>(read: () => Promise<T>): Promise<T> {
  let lost: LostSessionError | null = null;
  for (const pause of PAUSES_MS) {
    try {
      return await read();
    } catch (error) {
      if (error instanceof LostSessionError) lost ??= error;
      // A server that has just gone may be about to come back; one that was never there is not.
      if (!lost || !(error instanceof LostSessionError || error instanceof UnreachableError)) throw error;
    }
    await sleep(pause);
  }
  return read().catch((error: unknown) => {
    // A session was there and broke: that its server is away since then is a part of that.
    throw lost && error instanceof UnreachableError ? lost : error;
  });
}

/** Connects to all islands of the settings and passes the sessions to `use`. */
export async function onIslands<T>(
  settings: Settings,
  use: (islands: ConnectedIsland[]) => Promise<T>,
): Promise<T> {
  return withIslands(dsnsOf(settings), use);
}

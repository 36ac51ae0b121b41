import type { Settings } from "../config/settings.ts";
import { UsageError } from "../errors.ts";
import { type ConnectedIsland, withIslands } from "../postgres/islands/discover.ts";
import { type Dsn, parseDsn } from "../postgres/islands/dsn.ts";

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

/** Connects to all islands of the settings and passes the sessions to `use`. */
export async function onIslands<T>(
  settings: Settings,
  use: (islands: ConnectedIsland[]) => Promise<T>,
): Promise<T> {
  return withIslands(dsnsOf(settings), use);
}

import { type Dsn, toConninfo } from "../islands/dsn.ts";
import { SUBSCRIPTION_PREFIX, SUBSCRIPTION_SSL } from "../islands/libpq-keywords.ts";
import { NO_TIMEOUTS } from "../islands/session-settings.ts";

/** How long the source waits without a word from the destination before it considers it dead. */
const WAL_SENDER_TIMEOUT = "300s";

/**
 * The connection string with which the server of a destination subscribes to an island; contains a password. `name` is
 * that of its sessions.
 */
export function subscriptionConninfo(dsn: Dsn, sourceMajor: number, name: string): string {
  // The source refuses sessions with options that it does not know.
  const settings: Record<string, string> = { ...NO_TIMEOUTS, wal_sender_timeout: WAL_SENDER_TIMEOUT };
  if (sourceMajor >= 17) settings["transaction_timeout"] = "0";
  return toConninfo(dsn, {
    ...filesOfServer(dsn),
    application_name: name,
    connect_timeout: "10",
    keepalives_idle: "10",
    keepalives_interval: "5",
    keepalives_count: "3",
    options: Object.entries(settings)
      .map(([setting, value]) => `-c ${setting}=${value}`)
      .join(" "),
  });
}

/** What a DSN says about TLS for the server of a destination, which has files of its own; "" leaves a keyword out. */
function filesOfServer({ params }: Dsn): Record<string, string | undefined> {
  const given = SUBSCRIPTION_SSL.flatMap((keyword) => {
    const value = params[SUBSCRIPTION_PREFIX + keyword];
    return value === undefined ? [] : [[keyword, value || undefined] as const];
  });
  // The passphrase is that of the operator's key.
  const otherKey = params[`${SUBSCRIPTION_PREFIX}sslkey`] === undefined ? {} : { sslpassword: undefined };
  return { ...otherKey, ...Object.fromEntries(given) };
}

/** The first minor versions whose subscriptions send the options of their connection string; PostgreSQL 14 always did. */
const SENDS_OPTIONS: Readonly<Record<number, number>> = { 15: 16, 16: 12, 17: 8, 18: 2 };

/** True if subscriptions on a server ignore the options of their connection string, and so the timeouts in it. */
export const ignoresOptions = (versionNumber: number): boolean =>
  versionNumber % 10_000 < (SENDS_OPTIONS[Math.floor(versionNumber / 10_000)] ?? 0);

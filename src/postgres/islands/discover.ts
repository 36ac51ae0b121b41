import pg from "pg";

import type { IslandName } from "../../../contract/names.ts";
import { messageOf, ShardferryError, UsageError } from "../../errors.ts";
import { DATABASE, VERSION_NUMBER } from "../server.ts";
import { toClientConfig } from "./client-config.ts";
import { type Dsn, parseDsn } from "./dsn.ts";
import { explainLost, naming } from "./lost-session.ts";
import { asPoolerError, beginSession, PoolerError, sessionOptions } from "./pooler.ts";
import { redact } from "./redact.ts";
import { ACTION_SETTINGS } from "./session-settings.ts";

/** A primary database, with an open session. */
export interface ConnectedIsland {
  readonly name: IslandName;
  readonly dsn: Dsn;
  /** Further DSNs that lead to the same database. */
  readonly duplicates: readonly Dsn[];
  readonly client: pg.Client;
  /** 150004 for 15.4. */
  readonly serverVersion: number;
}

/** Some databases of the list do not answer. */
export class UnreachableError extends ShardferryError {
  constructor(lines: readonly string[], options?: ErrorOptions) {
    super("unreachable", `Cannot reach ${lines.join("\nCannot reach ")}`, options);
  }
}

const CONNECT_TIMEOUT_MS = 10_000;

const IDENTITY_SQL = `
  SELECT pg_is_in_recovery() AS replica, ${VERSION_NUMBER} AS version, ${DATABASE} AS identity`;

interface Probe {
  dsn: Dsn;
  client: pg.Client;
  replica: boolean;
  version: number;
  identity: string;
}

/** A database that does not answer, and why. */
export interface Unreachable {
  readonly island: IslandName;
  readonly reason: string;
}

/**
 * Connects to all databases of a list at once, drops replicas and second names of the same database, and lends the
 * sessions to `use`. The order of the list is kept. One error names all databases that cannot be reached.
 */
export async function withIslands<T>(
  dsns: readonly Dsn[],
  use: (islands: ConnectedIsland[]) => Promise<T>,
): Promise<T> {
  return withReachable(dsns, (islands, unreachable) => {
    refuse(unreachable);
    return use(islands);
  });
}

function refuse(unreachable: readonly Unreachable[]): void {
  const failures = unreachable.map(({ island, reason }) => `${island}: ${reason}`);
  if (failures.length > 0) throw new UnreachableError([...new Set(failures)]);
}

/** Like withIslands, but leaves out databases that cannot be reached, unless all of them cannot. */
export async function withReachable<T>(
  dsns: readonly Dsn[],
  use: (islands: ConnectedIsland[], unreachable: Unreachable[]) => Promise<T>,
): Promise<T> {
  const outcomes = await Promise.allSettled(dsns.map(probe));
  const probes = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
  try {
    const pooled = outcomes.flatMap((outcome, i) =>
      outcome.status === "rejected" && outcome.reason instanceof PoolerError ? [dsns[i]!.name] : [],
    );
    if (pooled.length > 0) throw new PoolerError([...new Set(pooled)]);
    const unreachable = outcomes.flatMap((outcome, i) =>
      outcome.status === "rejected"
        ? [{ island: dsns[i]!.name, reason: reasonOf(outcome.reason, dsns[i]!) }]
        : [],
    );
    if (probes.length === 0) refuse(unreachable);
    return await use(primaries(probes), unreachable);
  } catch (error) {
    throw explainLost(error);
  } finally {
    await Promise.all(probes.map(({ client }) => client.end().catch(() => undefined)));
  }
}

/** Removes duplicates and replicas from a list of DSNs. */
export async function discoverIslands(dsns: readonly Dsn[]): Promise<Dsn[]> {
  return withIslands(dsns, (islands) => Promise.resolve(islands.map(({ dsn }) => dsn)));
}

async function probe(dsn: Dsn): Promise<Probe> {
  const config = toClientConfig(dsn);
  const client = naming(
    new pg.Client({
      ...config,
      options: sessionOptions(dsn, ACTION_SETTINGS),
      connectionTimeoutMillis: config.connectionTimeoutMillis || CONNECT_TIMEOUT_MS,
    }),
    dsn.name,
  );
  // The current query is rejected with the same error; without a listener, the error would end this process.
  client.on("error", () => undefined);
  try {
    await client.connect();
    await beginSession(client, dsn.name);
    const { rows } = await client.query<Omit<Probe, "dsn" | "client">>(IDENTITY_SQL);
    return { dsn, client, ...rows[0]! };
  } catch (error) {
    await client.end().catch(() => undefined);
    throw asPoolerError(error, dsn.name);
  }
}

function primaries(probes: readonly Probe[]): ConnectedIsland[] {
  const groups = new Map<string, Probe[]>();
  for (const found of probes.filter(({ replica }) => !replica)) {
    groups.set(found.identity, [...(groups.get(found.identity) ?? []), found]);
  }
  if (groups.size === 0 && probes.length > 0) {
    const names = probes.map(({ dsn }) => dsn.name).join(", ");
    throw new UsageError(`No primary among the DSNs: ${names} are all replicas.`);
  }
  return [...groups.values()].map(([first, ...rest]) => ({
    name: first!.dsn.name,
    dsn: first!.dsn,
    duplicates: rest.map(({ dsn }) => dsn),
    client: first!.client,
    serverVersion: first!.version,
  }));
}

/** Says why a database cannot be reached, never with the password. */
function reasonOf(error: unknown, dsn: Dsn): string {
  const code = (error as { code?: string }).code ?? "";
  const port = `port ${dsn.port}`;
  if (code === "ECONNREFUSED") return `connection refused; is PostgreSQL running there on ${port}?`;
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") return `the host name "${dsn.host}" cannot be resolved`;
  if (code === "EHOSTUNREACH" || code === "ENETUNREACH") return `no route to the host`;
  if (code === "ENOENT") return `there is no socket for ${port} in ${dsn.host}`;
  const message = redact(messageOf(error), [dsn]);
  // node-postgres' own message for a connection that was not established in time.
  return /^timeout expired$/.test(message) ? "no answer within the connection timeout" : message;
}

/** What an island can be identified by. */
export interface Named {
  readonly name: IslandName;
  readonly dsn: Dsn;
  readonly duplicates?: readonly Dsn[];
}

/**
 * Finds the island to which a DSN or a prefix of its short name refers. A complete name, `host:port` and `host` take
 * precedence over a prefix. If none or several fit, the error names the candidates.
 */
export function resolveIsland<T extends Named>(
  text: string,
  islands: readonly T[],
  env: NodeJS.ProcessEnv = process.env,
): T {
  const wanted = (text.includes("://") || text.includes("@") ? parseDsn(text, env).name : text).trim();
  const lower = wanted.toLowerCase();
  const fits: ((name: IslandName, dsn: Dsn) => boolean)[] = [
    (name) => name === wanted,
    (name) => name.toLowerCase() === lower,
    (_name, { host, port, database }) =>
      lower === `${host}:${port}`.toLowerCase() || wanted === `${host}:${port}/${database}`,
    (_name, { host }) => lower === host.toLowerCase(),
    (name) => wanted !== "" && name.toLowerCase().startsWith(lower),
  ];
  for (const fit of fits) {
    const found = islands.filter(({ dsn, duplicates = [] }) =>
      [dsn, ...duplicates].some((one) => fit(one.name, one)),
    );
    if (found.length === 1) return found[0]!;
    if (found.length > 1) {
      throw new UsageError(`"${wanted}" matches several islands: ${listOf(found)}. Give more of the name.`);
    }
  }
  throw new UsageError(`No island matches "${wanted}". The islands are: ${listOf(islands)}.`);
}

const listOf = (islands: readonly Named[]): string => islands.map(({ name }) => name).join(", ") || "none";

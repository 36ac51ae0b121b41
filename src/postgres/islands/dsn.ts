import { userInfo } from "node:os";
import { inspect } from "node:util";

import type { IslandName } from "../../../contract/names.ts";
import { UsageError } from "../../errors.ts";
import { passwordFile, passwordFromFile, serviceKeywords } from "./libpq-files.ts";
import {
  KEYWORD_ENV,
  LIBPQ_VARIABLES,
  PARAM_KEYWORDS,
  SSL_MODES,
  SUBSCRIPTION_KEYWORDS,
} from "./libpq-keywords.ts";

/** One database, as a client reaches it. Printing it or turning it into JSON shows only its name. */
export interface Dsn {
  readonly name: IslandName;
  /** A host name, an address, or the directory of a Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string | undefined;
  readonly database: string;
  /** Further libpq keywords: sslmode, sslrootcert, options, connect_timeout and the like. */
  readonly params: Readonly<Record<string, string>>;
}

type Keywords = Record<string, string>;

const DEFAULT_PORT = 5432;
const SCHEME = /^(?:postgres|postgresql):\/\//i;

/** Prototype of every Dsn: keeps the password out of logs and JSON, however the object is printed. */
const printable = {
  toJSON(this: Dsn): string {
    return this.name;
  },
  [inspect.custom](this: Dsn): string {
    return `Dsn(${this.name})`;
  },
};

/** Derives the short name of an island, `host[:port]/database`, which has no credentials. */
function islandName(host: string, port: number, database: string): IslandName {
  const shown = host.startsWith("/")
    ? host
    : host.includes(":")
      ? `[${host.toLowerCase()}]`
      : host.toLowerCase();
  return `${shown}${port === DEFAULT_PORT ? "" : `:${port}`}/${database}`;
}

/**
 * Parses `postgresql://user:pass@host:port/db?options` or `host:port/db`, in which every part except the host may be
 * missing; missing parts come from the service file, the environment, the password file and libpq's defaults.
 */
export function parseDsn(text: string, env: NodeJS.ProcessEnv = process.env): Dsn {
  const given = keywordsOf(text.trim());
  const service = given["service"] ?? (env["PGSERVICE"] || undefined);
  const all: Keywords = {
    ...environmentKeywords(env),
    ...(service ? serviceKeywords(service, env) : {}),
    ...given,
  };
  const host = all["host"] || "localhost";
  const user = all["user"] || accountName();
  const database = all["dbname"] || user;
  const port = portNumber(all["port"]);
  if (host.includes(",")) {
    throw new UsageError(
      `A DSN names one host, not a list: "${host}". Separate several DSNs by commas in --dsns.`,
    );
  }
  const params = Object.fromEntries([
    ...PARAM_KEYWORDS.filter((keyword) => all[keyword]).map((keyword) => [keyword, all[keyword]!] as const),
    // An empty one leaves out what the DSN says for its own sessions.
    ...SUBSCRIPTION_KEYWORDS.filter((keyword) => all[keyword] !== undefined).map(
      (keyword) => [keyword, all[keyword]!] as const,
    ),
  ]);
  for (const keyword of ["sslmode", "subscription_sslmode"])
    if (params[keyword] && !SSL_MODES.some((mode) => mode === params[keyword]))
      throw new UsageError(
        `Invalid ${keyword} "${params[keyword]}" for ${host}: use one of ${SSL_MODES.join(", ")}.`,
      );
  const passfile = all["passfile"] || passwordFile(env);
  const password = all["password"] || passwordFromFile(passfile, { host, port, database, user });
  const name = islandName(host, port, database);
  return Object.assign(Object.create(printable) as object, {
    name,
    host,
    port,
    user,
    password,
    database,
    params,
  });
}

/**
 * Parses a list of DSNs, separated by commas or white space. `PGPORT` may be a list of the same length, as in libpq.
 * An error names the position in the list, never the text, which may contain a password.
 */
export function parseDsnList(text: string, env: NodeJS.ProcessEnv = process.env): Dsn[] {
  const parts = text.split(/[,\s]+/).filter((part) => part !== "");
  if (parts.some((part, i) => mayBeCutPassword(part, parts[i + 1])))
    throw malformed('there is a comma or space before an "@"');
  if (HOST_LIST.test(text))
    throw malformed("it has several hosts, and a DSN is one database (write one for each island)");
  const ports = (env["PGPORT"] ?? "").split(",");
  // Guessing could connect a DSN to another one's port, where it would be silently removed as a duplicate.
  if (ports.length > 1 && parts.length > 0 && ports.length !== parts.length)
    throw new UsageError(
      `PGPORT has ${ports.length} ports for ${parts.length} hosts: give one for all, or one for each.`,
    );
  return parts.map((part, i) => {
    // PGHOSTADDR is the address of one host; with several DSNs it would send all of them to the same server.
    const own = parts.length > 1 ? { ...env, PGHOSTADDR: undefined } : { ...env };
    if (ports.length > 1) own["PGPORT"] = ports[i]!;
    try {
      return parseDsn(part, own);
    } catch (error) {
      if (!(error instanceof UsageError) || parts.length === 1) throw error;
      throw new UsageError(`DSN ${i + 1} of ${parts.length}: ${error.message}`);
    }
  });
}

/** libpq's lists of hosts, which would be taken apart at their commas: `postgresql://h1,h2:5433/db`, `…/db?host=h1,h2`. */
const HOST_LIST =
  /\b\w+:\/\/(?:[^\s,/?]*|[^\s,?]*\?(?:[^\s,]*&)?(?:host|hostaddr|port)=[^\s,&]*),(?=[^\s,])(?!\w+:\/\/)/i;

/**
 * True for `postgresql://user:12` before `34@host/db`: the apparent host and port may be the beginning of a
 * password with a comma in it, which would be shown as the name of an island.
 */
const mayBeCutPassword = (part: string, next: string | undefined): boolean =>
  next !== undefined && /^\w+:\/\/[^/?@]*:[^/?@]*$/.test(part) && /^[^/?]*@/.test(next);

/** Splits a DSN into libpq keywords. */
function keywordsOf(text: string): Keywords {
  if (/^\w+:\/\//.test(text) && !SCHEME.test(text)) {
    throw new UsageError(
      `A DSN begins with postgresql:// or is host:port/db, not ${text.split("://")[0]}://.`,
    );
  }
  const rest = text.replace(SCHEME, "");
  const socket = rest === text ? /^(\/[^:?]*?)(?::(\d+)(?:\/([^/?]+))?)?$/.exec(rest) : null;
  if (socket) return compact({ host: socket[1], port: socket[2], dbname: socket[3] });
  if (/^[0-9a-f]*:[0-9a-f:]*:[0-9a-f.]*$/i.test(rest)) return { host: rest };

  const [, authority, path, query] = /^([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/s.exec(rest)!;
  // The text before it may be the end of a password, so none of it is shown.
  if (path?.includes("@")) throw malformed('it has an "@" after a "/"');
  const at = authority!.lastIndexOf("@");
  const [user, ...password] = authority!.slice(0, Math.max(at, 0)).split(":");
  const [, host, port] = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/.exec(authority!.slice(at + 1)) ?? [];
  if (host === undefined) throw malformed("cannot parse host and port");
  if (host.includes("="))
    throw malformed("it consists of keywords and values (host=… port=…), which are not supported");
  const own = compact({
    host: decode(host.replace(/^\[(.*)\]$/, "$1")),
    port: port ?? "",
    user: decode(user!),
    password: decode(password.join(":")),
    dbname: decode(path ?? ""),
  });
  return { ...own, ...queryKeywords(query ?? "") };
}

/** Parses the `?sslmode=require&…` part; like psql, it refuses parameters that libpq does not know. */
function queryKeywords(query: string): Keywords {
  const found: Keywords = {};
  for (const pair of query.split("&").filter((part) => part !== "")) {
    const equals = pair.indexOf("=");
    const keyword = decode(equals < 0 ? pair : pair.slice(0, equals));
    const value = equals < 0 ? "" : decode(pair.slice(equals + 1));
    // Only node-postgres knows this one: it requests the sslmode semantics that are used here anyway.
    if (keyword === "uselibpqcompat") continue;
    if (keyword === "ssl" && value === "true") found["sslmode"] = "require";
    else if (keyword in KEYWORD_ENV || SUBSCRIPTION_KEYWORDS.includes(keyword)) found[keyword] = value;
    else if (query.includes("@")) throw malformed('it has an "@" after a "?"');
    else
      throw new UsageError(`"${keyword}" is not a connection parameter of PostgreSQL (after "?" in a DSN).`);
  }
  return found;
}

function environmentKeywords(env: NodeJS.ProcessEnv): Keywords {
  const pairs = Object.entries(KEYWORD_ENV)
    .filter(([keyword]) => keyword !== "options")
    .map(([keyword, variable]) => [keyword, variable === null ? undefined : env[variable]]);
  return compact(Object.fromEntries(pairs) as Record<string, string | undefined>);
}

function compact(keywords: Record<string, string | undefined>): Keywords {
  return Object.fromEntries(
    Object.entries(keywords).filter((pair): pair is [string, string] => Boolean(pair[1])),
  );
}

function malformed(what: string): UsageError {
  return new UsageError(
    `Malformed DSN: ${what}. Write postgresql://user:password@host:port/db or host:port/db, ` +
      `and percent-encode special characters ("/" is %2F, "?" is %3F, "," is %2C, "@" is %40) in the password.`,
  );
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw malformed("it has a % that does not begin a valid escape");
  }
}

function portNumber(text: string | undefined): number {
  if (text === undefined) return DEFAULT_PORT;
  const port = /^\d+$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65535) throw malformed("its port is not a number from 1 to 65535");
  return port;
}

/** libpq's default user is the account's name. */
function accountName(): string {
  try {
    return userInfo().username;
  } catch {
    throw new UsageError("No database user: name it in the DSN or in PGUSER.");
  }
}

/**
 * Renders a DSN as libpq's `keyword='value'` string. `extra` adds or replaces keywords; `undefined` omits one,
 * as in `{ password: undefined }` for text that other users of the machine can see.
 */
export function toConninfo(dsn: Dsn, extra: Readonly<Record<string, string | undefined>> = {}): string {
  const { host, port, user, password, database, params } = dsn;
  return Object.entries({ host, port: String(port), user, password, dbname: database, ...params, ...extra })
    .filter(([keyword, value]) => value !== undefined && keyword in KEYWORD_ENV)
    .map(([keyword, value]) => `${keyword}='${value!.replace(/[\\']/g, "\\$&")}'`)
    .join(" ");
}

/** Renders a DSN as `postgresql://…` with everything in it, including the password: only for environments of our own. */
export function toUrl(dsn: Dsn): string {
  const { host, port, user, password, database, params } = dsn;
  const secret = password === undefined ? "" : `:${encodeURIComponent(password)}`;
  const shown = host.includes(":") ? `[${host}]` : encodeURIComponent(host);
  const query = new URLSearchParams(params).toString().replaceAll("+", "%20");
  const target = `${shown}:${port}/${encodeURIComponent(database)}`;
  return `postgresql://${encodeURIComponent(user)}${secret}@${target}${query ? `?${query}` : ""}`.replaceAll(
    ",",
    "%2C",
  );
}

/**
 * The environment for a child process (pg_dump, psql) that connects to this database: `base` without its own
 * connection variables, plus those of the DSN. This way no secret is in the arguments, and no PGSERVICE interferes.
 */
export function libpqEnv(dsn: Dsn, base: NodeJS.ProcessEnv = {}): Record<string, string> {
  const kept = Object.entries(base).filter(
    (pair): pair is [string, string] => pair[1] !== undefined && !LIBPQ_VARIABLES.includes(pair[0]),
  );
  const { host, port, user, password, database, params } = dsn;
  const keywords = { host, port: String(port), user, password, dbname: database, ...params };
  const own = Object.entries(keywords).flatMap(([keyword, value]) => {
    const variable = KEYWORD_ENV[keyword];
    return variable && value !== undefined ? [[variable, value] as const] : [];
  });
  return Object.fromEntries([...kept, ...own]);
}

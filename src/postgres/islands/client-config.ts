import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import type { ConnectionOptions } from "node:tls";

import pg from "pg";

import { UsageError } from "../../errors.ts";
import type { Dsn } from "./dsn.ts";
import type { SslMode } from "./libpq-keywords.ts";

/** Parts of node-postgres' Connection that its types do not declare. */
interface RawConnection extends pg.Connection {
  ssl: boolean | ConnectionOptions;
  connect(port: number | string, host?: string): void;
  upgradeToSSL(host: string | undefined, onError: (error: Error) => void): void;
  attachListeners(stream: unknown): void;
}
const RawConnection = pg.Connection as unknown as new (config: object) => RawConnection;

/**
 * A connection that asks for TLS and continues without it if the server has none: sslmode=prefer, which
 * node-postgres lacks. (It fails where libpq falls back, and checks certificates where libpq does not.)
 */
class PreferTlsConnection extends RawConnection {
  override connect(port: number | string, host?: string): void {
    super.connect(port, host);
    this.stream.removeAllListeners("data");
    this.stream.once("data", (answer: Buffer) => {
      if (answer[0] === "S".charCodeAt(0)) {
        this.upgradeToSSL(host, (error) => this.emit("error", error));
      } else if (answer[0] === "N".charCodeAt(0)) {
        this.attachListeners(this.stream);
        this.emit("sslconnect");
      } else {
        this.emit("error", new Error("The server did not answer the request for TLS"));
      }
    });
  }
}

/** The same for pools, which create a client, and so a connection, each time they need one. */
class PreferTlsClient extends pg.Client {
  constructor(config: pg.ClientConfig) {
    // A pool hides the password from enumeration, so that spreading loses it.
    super({ ...config, password: config.password, connection: preferTls(config) } as pg.ClientConfig);
  }
}

const preferTls = ({
  ssl,
  keepAlive = true,
  keepAliveInitialDelayMillis,
}: pg.ClientConfig): PreferTlsConnection =>
  new PreferTlsConnection({ ssl, keepAlive, keepAliveInitialDelayMillis });

/**
 * Turns a DSN into the configuration of a node-postgres client or pool, with libpq's meaning of every keyword, and
 * without taking anything from the environment of this process. Create a new one for each client.
 */
export function toClientConfig(dsn: Dsn, extra: pg.ClientConfig = {}): pg.ClientConfig {
  const { params } = dsn;
  const overSocket = dsn.host.startsWith("/");
  const mode: SslMode = overSocket ? "disable" : ((params["sslmode"] as SslMode | undefined) ?? "prefer");
  const config: pg.ClientConfig = {
    host: params["hostaddr"] ?? dsn.host,
    port: dsn.port,
    user: dsn.user,
    database: dsn.database,
    // node-postgres would itself look for PGPASSWORD and ~/.pgpass; that was done when the DSN was parsed.
    password: dsn.password ?? noPassword(dsn),
    application_name: params["application_name"] ?? "shardferry",
    connectionTimeoutMillis: 1000 * Number(params["connect_timeout"] ?? 0),
    keepAlive: params["keepalives"] !== "0",
    // The kernel's default of two hours would keep sessions when the network is cut.
    keepAliveInitialDelayMillis: 1000 * Number(params["keepalives_idle"] ?? 10),
    ssl: mode === "disable" ? false : tlsOptions(dsn, mode),
    ...clientOptions(params["options"]),
    ...extra,
  };
  if (mode !== "prefer" && mode !== "allow") return config;
  return Object.assign(config, { connection: preferTls(config), Client: PreferTlsClient });
}

/** node-postgres falls back on PGOPTIONS if there are no options; a blank means "none" and prevents that. */
function clientOptions(options: string | undefined): { options?: string } {
  if (options) return { options };
  return process.env["PGOPTIONS"] ? { options: " " } : {};
}

/** Called only if the server asks for a password. */
function noPassword(dsn: Dsn): () => never {
  return () => {
    throw new Error(
      `the server asks for a password for user "${dsn.user}", and there is none in the DSN, PGPASSWORD or the password file`,
    );
  };
}

function tlsOptions(dsn: Dsn, mode: SslMode): ConnectionOptions {
  const { params } = dsn;
  const folder = join(process.env["HOME"] || homedir(), ".postgresql");
  const file = (given: string | undefined, usual: string): string | undefined => {
    if (given) return readFile(dsn, given);
    return existsSync(join(folder, usual)) ? readFile(dsn, join(folder, usual)) : undefined;
  };
  const system = params["sslrootcert"] === "system";
  const verifying = mode === "verify-ca" || mode === "verify-full" || system;
  // As in libpq, "require" with a root certificate is "verify-ca".
  const ca =
    system || mode === "prefer" || mode === "allow" ? undefined : file(params["sslrootcert"], "root.crt");
  if (verifying && !system && ca === undefined) {
    throw new UsageError(
      `sslmode=${mode} for ${dsn.name} needs a root certificate: set sslrootcert (PGSSLROOTCERT) to a file or to "system".`,
    );
  }
  const cert = file(params["sslcert"], "postgresql.crt");
  const key = cert === undefined ? undefined : file(params["sslkey"], "postgresql.key");
  const full = mode === "verify-full" || system;
  // Of these options, node:tls and pg take one that is undefined for one that is given.
  const options: ConnectionOptions = { rejectUnauthorized: verifying || ca !== undefined };
  if (ca !== undefined) options.ca = ca;
  if (cert !== undefined) options.cert = cert;
  if (key !== undefined) options.key = key;
  if (params["sslpassword"]) options.passphrase = params["sslpassword"];
  if (!full) options.checkServerIdentity = () => undefined;
  // The certificate is the host's, even if hostaddr says where to connect.
  if (full && params["hostaddr"]) Object.assign(options, { host: dsn.host, servername: dsn.host });
  return options;
}

function readFile(dsn: Dsn, path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new UsageError(`Cannot read ${path}, which is given in the DSN of ${dsn.name}`, { cause });
  }
}

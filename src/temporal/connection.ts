import { connect as tcpConnect } from "node:net";

import type { Client, Connection } from "@temporalio/client";
import type { ClientConnectConfig } from "@temporalio/envconfig";

import { messageOf, ShardferryError, UsageError } from "../errors.ts";
import { addressOf, type EmbeddedServer, ensureServer, runningServer, uiOf } from "./embedded.ts";

/** Which Temporal to use: what both a client and a worker need to connect. */
export interface TemporalTarget {
  readonly address: string;
  readonly namespace: string;
  /** @internal */
  readonly connectionOptions: ClientConnectConfig["connectionOptions"];
  /** This user's server in the background; null if an address was configured. */
  readonly embedded: EmbeddedServer | null;
  /** The address of its web page; null if that is not known. */
  readonly ui: string | null;
}

/** A connected client. */
export interface Temporal {
  readonly target: TemporalTarget;
  /** @internal Temporal's types do not compile without skipLibCheck. */
  readonly client: Client;
  /** Restarts the embedded server if it has gone; any other server can only be waited for. */
  revive(): Promise<void>;
  /** Makes `close` wait for a call that may have no other waiter: a retry on a closed connection would throw. */
  settleBeforeClose(call: Promise<unknown>): void;
  close(): Promise<void>;
}

const CONNECT_TIMEOUT_MS = 10_000;
/** Milliseconds for which the embedded server keeps the history of a workflow that has ended; its own default is one day. */
const RETENTION_MS = 30 * 86_400_000;
const DEFAULT_PORT = 7233;

/** Reads `TEMPORAL_…` and the Temporal config file, as every Temporal tool does; null if they give no address. */
export async function configuredTarget(env: NodeJS.ProcessEnv): Promise<TemporalTarget | null> {
  const { loadClientConnectConfig } = await import("./sdk.ts");
  const variables = Object.entries(env).filter((pair): pair is [string, string] => Boolean(pair[1]));
  try {
    const config = loadClientConnectConfig({ overrideEnvVars: Object.fromEntries(variables) });
    const { address, apiKey, tls, metadata } = config.connectionOptions;
    if (!address) return null;
    const connectionOptions: TemporalTarget["connectionOptions"] = { address };
    if (apiKey !== undefined) connectionOptions.apiKey = apiKey;
    if (tls !== undefined) connectionOptions.tls = tls;
    if (metadata !== undefined) connectionOptions.metadata = metadata;
    const namespace = config.namespace ?? "default";
    return { address, namespace, connectionOptions, embedded: null, ui: env["TEMPORAL_UI_URL"] || null };
  } catch (cause) {
    throw new UsageError(`Temporal settings: ${messageOf(cause)}`, { cause });
  }
}

/** Returns the configured Temporal, else the embedded server, which is started if necessary. */
export async function resolveTarget(
  env: NodeJS.ProcessEnv,
  say: (line: string) => void,
): Promise<TemporalTarget> {
  return (await configuredTarget(env)) ?? embeddedTarget(await ensureServer(env, say));
}

/** Like `resolveTarget`, but starts nothing: returns null if there is no server. For actions that only read. */
export async function existingTarget(env: NodeJS.ProcessEnv): Promise<TemporalTarget | null> {
  const configured = await configuredTarget(env);
  if (configured) return configured;
  return runningEmbedded(env);
}

/** Returns the embedded server, whatever address is configured; null if it is not running. */
export function runningEmbedded(env: NodeJS.ProcessEnv): TemporalTarget | null {
  const server = runningServer(env);
  return server && embeddedTarget(server);
}

function embeddedTarget(embedded: EmbeddedServer): TemporalTarget {
  const address = addressOf(embedded);
  const ui = uiOf(embedded);
  return { address, namespace: "default", connectionOptions: { address }, embedded, ui };
}

/** The address at which Temporal's page shows a run of a workflow; null if the page is not known. */
export function linkTo(
  { ui, namespace }: Pick<TemporalTarget, "ui" | "namespace">,
  workflowId: string,
  runId: string,
): string | null {
  if (ui === null) return null;
  const path = ["namespaces", namespace, "workflows", workflowId, runId].map(encodeURIComponent).join("/");
  return `${ui.replace(/\/+$/, "")}/${path}`;
}

/** Connects a client. */
export async function connectClient(
  target: TemporalTarget,
  env: NodeJS.ProcessEnv,
  say: (line: string) => void,
): Promise<Temporal> {
  const [{ Client, Connection }] = await Promise.all([import("./sdk.ts"), ensureListening(target)]);
  const options = { ...target.connectionOptions, connectTimeout: CONNECT_TIMEOUT_MS };
  // The types of the native and of the pure connection differ only in properties that are not used here.
  const connection = await Connection.connect(options as Parameters<typeof Connection.connect>[0]).catch(
    (cause: unknown) => {
      throw unreachable(target, messageOf(cause), cause);
    },
  );
  if (target.embedded) await keepHistories(connection, target.namespace);
  const client = new Client({ connection, namespace: target.namespace });
  const revive = async (): Promise<void> => {
    if (target.embedded) await ensureServer(env, say);
  };
  const pending = new Set<Promise<unknown>>();
  const settleBeforeClose = (call: Promise<unknown>): void => {
    const settled = call.catch(() => undefined).finally(() => pending.delete(settled));
    pending.add(settled);
  };
  const close = async (): Promise<void> => {
    await Promise.all(pending);
    await connection.close();
  };
  return { target, client, revive, settleBeforeClose, close };
}

async function keepHistories({ workflowService }: Connection, namespace: string): Promise<void> {
  const { msToTs, tsToMs } = await import("./sdk.ts");
  const { config } = await workflowService.describeNamespace({ namespace });
  if (tsToMs(config?.workflowExecutionRetentionTtl) === RETENTION_MS) return;
  const retention = { workflowExecutionRetentionTtl: msToTs(RETENTION_MS) };
  await workflowService.updateNamespace({ namespace, config: retention });
}

function unreachable(target: TemporalTarget, why: string, cause?: unknown): ShardferryError {
  const text = `Cannot reach Temporal at ${target.address} (namespace ${target.namespace}): ${why}. Is TEMPORAL_ADDRESS right?`;
  return new ShardferryError("temporal_unreachable", text, { cause });
}

/** Throws if nothing listens at the address. */
export async function ensureListening(target: TemporalTarget): Promise<void> {
  const refused = await whyUnreachable(target.address, Boolean(target.connectionOptions?.tls));
  if (refused) throw unreachable(target, refused);
}

/** The beginning of every HTTP/2 connection, and with it of gRPC: a preface, and a frame with no settings. */
const PREFACE = Buffer.concat([
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]),
]);
/** A server of gRPC sends its settings at once; one that says nothing is left to the client. */
const GREETING_MS = 1000;

const WEB_PAGE = "it speaks HTTP/1.1, as Temporal's web page does, and not gRPC, whose port is usually 7233";

/**
 * Checks whether anything listens, and whether it is a web server, because otherwise a gRPC client would keep trying for
 * seconds. Behind a proxy, only gRPC itself can find out; behind TLS, only whether anything listens is checked.
 */
async function whyUnreachable(address: string, tls: boolean): Promise<string | null> {
  const proxy = ["grpc_proxy", "https_proxy", "http_proxy"].some((name) => process.env[name]);
  const [, host, port] = /^(?:[a-z]+:\/\/)?(\[[^\]]+\]|[^:/]+)(?::(\d+))?/i.exec(address) ?? [];
  if (proxy || !host) return null;
  return new Promise((resolve) => {
    const socket = tcpConnect({ host: host.replace(/[[\]]/g, ""), port: Number(port ?? DEFAULT_PORT) });
    const done = (why: string | null): void => {
      socket.destroy();
      resolve(why);
    };
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => done("no answer"));
    socket.once("connect", () => {
      if (tls) return done(null);
      socket.removeAllListeners("timeout").setTimeout(GREETING_MS, () => done(null));
      socket.once("data", (data) => done(data.toString("latin1").startsWith("HTTP/1.") ? WEB_PAGE : null));
      socket.once("close", () => done(null));
      socket.write(PREFACE);
    });
    socket.once("error", (error: NodeJS.ErrnoException) =>
      done(error.code === "ECONNREFUSED" ? "connection refused" : messageOf(error)),
    );
  });
}

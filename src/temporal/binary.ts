import { existsSync, readdirSync } from "node:fs";
import { delimiter, join } from "node:path";

import { messageOf, ShardferryError } from "../errors.ts";
import { cacheFolders } from "../machine/cache-folder.ts";
import { isExecutable } from "../machine/pg-programs.ts";

/** Finds the Temporal CLI in `SHARDFERRY_TEMPORAL`, `PATH` or the cache; returns null if there is none. */
export async function findTemporal(): Promise<string | null> {
  const own = process.env["SHARDFERRY_TEMPORAL"];
  const path = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  const candidates = [...(own ? [own] : []), ...path.map((folder) => join(folder, "temporal"))];
  candidates.push(...cacheFolders().map(temporalIn));
  for (const candidate of candidates) if (await isExecutable(candidate)) return candidate;
  return null;
}

/** Returns where the set-up puts the Temporal CLI in a cache. */
export const temporalIn = (cache: string): string => join(cache, "temporal", TEMPORAL_VERSION, "temporal");

/** The version of the Temporal CLI that the set-up downloads. */
export const TEMPORAL_VERSION = "1.9.1";

/**
 * How the development server writes its database: as durable as by default, with one flush a transaction instead of three.
 * Takes a fifth less of the processor for the same moves.
 */
export const DATABASE_OPTIONS = [
  "--sqlite-pragma",
  "journal_mode=WAL",
  "--sqlite-pragma",
  "synchronous=FULL",
];

/** Returns whether the log of a development server says that another process took a port that we had found free. */
export const saysPortTaken = (log: string): boolean =>
  /address already in use|can't listen|cannot listen|can't set .*port/i.test(log);

/** Finds the Temporal CLI on this machine; if there is none, lets the SDK download it into `folder`. */
export async function temporalBinary(folder: string, say: (line: string) => void): Promise<string> {
  const found = (await findTemporal()) ?? downloaded(folder);
  if (found) return found;
  say("The Temporal CLI is not installed on this machine: downloading it (once)");
  try {
    await download(folder);
  } catch (cause) {
    throw missing(`the download failed: ${messageOf(cause)}`, cause);
  }
  const fetched = downloaded(folder);
  if (!fetched) throw missing(`the download left nothing in ${folder}`);
  return fetched;
}

const PREFIX = "temporal-sdk-typescript-";

/** The SDK names the file after itself and the version. */
function downloaded(folder: string): string | null {
  if (!existsSync(folder)) return null;
  const name = readdirSync(folder).find((file) => file.startsWith(PREFIX) && !file.endsWith(".downloading"));
  return name ? join(folder, name) : null;
}

/** The SDK downloads the CLI only to start a server, which is stopped again here. */
async function download(folder: string): Promise<void> {
  const { Runtime } = await import("@temporalio/worker");
  const runtime = Runtime.instance();
  const server = await runtime.createEphemeralServer({
    type: "dev-server",
    exe: {
      type: "cached-download",
      downloadDir: folder,
      version: "default",
      ttl: 0,
      sdkName: "sdk-typescript",
      sdkVersion: "1.24.0",
    },
    ip: "127.0.0.1",
    port: null,
    ui: false,
    uiPort: null,
    namespace: "default",
    dbFilename: null,
    log: { format: "pretty", level: "warn" },
    extraArgs: [],
  });
  await runtime.shutdownEphemeralServer(server);
}

function missing(why: string, cause?: unknown): ShardferryError {
  return new ShardferryError(
    "temporal_missing",
    `No Temporal server: TEMPORAL_ADDRESS is not set, the "temporal" command is not on PATH, and ${why}. ` +
      `Install the Temporal CLI, or set TEMPORAL_ADDRESS to a server`,
    { cause },
  );
}

import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";

import { packageFolder } from "./package-folder.ts";
import { isReachable } from "./server-user.ts";

/** Used by root if the servers' user cannot enter the usual folder. */
const ROOT_CACHE = "/var/cache/shardferry";

/**
 * Returns the folder of downloaded servers and of database templates: `SHARDFERRY_CACHE`, else
 * `$XDG_CACHE_HOME/shardferry`, else `~/.cache/shardferry`; it need not exist.
 */
export function cacheDir(): string {
  const own = process.env["SHARDFERRY_CACHE"];
  if (own) {
    openUp(resolve(own));
    if (isReachable(resolve(own))) return resolve(own);
    return ROOT_CACHE;
  }
  const usual = join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "shardferry");
  return isReachable(usual) ? usual : ROOT_CACHE;
}

/**
 * Lists the folders that may hold downloaded servers: the cache, and the caches of this checkout's set-ups, which may
 * have run with another HOME. `SHARDFERRY_CACHE`, if set, is the only one.
 */
export function cacheFolders(): string[] {
  return [...new Set([cacheDir(), ...(process.env["SHARDFERRY_CACHE"] ? [] : rememberedCaches())])];
}

/** Records in the checkout which cache its set-up has used. */
export function rememberCache(): void {
  const caches = rememberedCaches();
  if (caches.includes(cacheDir())) return;
  mkdirSync(dirname(memory()), { recursive: true });
  writeFileSync(memory(), [...caches, cacheDir()].map((folder) => `${folder}\n`).join(""));
}

const memory = (): string => join(packageFolder(), ".cache", "server-caches");

function rememberedCaches(): string[] {
  if (!existsSync(memory())) return [];
  return readFileSync(memory(), "utf8").split("\n").filter(Boolean);
}

/** Creates a folder under the cache, readable by the servers' user regardless of the umask. */
export function makeCacheFolder(...parts: string[]): string {
  let folder = cacheDir();
  mkdirSync(folder, { recursive: true });
  openUp(folder);
  for (const part of parts) {
    folder = join(folder, part);
    mkdirSync(folder, { recursive: true });
    openUp(folder);
  }
  return folder;
}

/** Opens a folder to other users: with `SHARDFERRY_CACHE=$(mktemp -d)`, only root could enter it. */
function openUp(folder: string): void {
  const stat = statSync(folder, { throwIfNoEntry: false });
  if (stat && process.getuid?.() === 0 && stat.uid === 0 && (stat.mode & 0o055) !== 0o055)
    chmodSync(folder, stat.mode | 0o055);
}

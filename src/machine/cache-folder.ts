import { chmodSync, mkdirSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";

import { isReachable } from "./server-user.ts";

/** Used by root when the usual place is closed to the user that the servers run under. */
const ROOT_CACHE = "/var/cache/shardferry";

/**
 * Answers the folder of downloaded servers and of database templates: `SHARDFERRY_CACHE`, else
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

/** Creates a folder under the cache, readable by the servers' user whatever the umask is. */
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

/** `SHARDFERRY_CACHE=$(mktemp -d)` gives root a folder closed to all others; this one is ours to open. */
function openUp(folder: string): void {
  const stat = statSync(folder, { throwIfNoEntry: false });
  if (stat && process.getuid?.() === 0 && stat.uid === 0 && (stat.mode & 0o055) !== 0o055)
    chmodSync(folder, stat.mode | 0o055);
}

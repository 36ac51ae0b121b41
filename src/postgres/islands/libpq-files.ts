import { readFileSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

import { UsageError } from "../../errors.ts";

/** The user's home as libpq sees it: `HOME`, otherwise that of the account. */
const homeOf = (env: NodeJS.ProcessEnv): string => env["HOME"] || homedir();

function read(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

/** Splits `host:port:database:user:password`, in which `\:` and `\\` stand for themselves. */
function passwordFields(line: string): string[] {
  const fields = [""];
  for (let i = 0; i < line.length; i++) {
    let char = line[i]!;
    if (char === "\\" && i + 1 < line.length) char = line[++i]!;
    else if (char === ":" && fields.length < 5) {
      fields.push("");
      continue;
    }
    fields[fields.length - 1] += char;
  }
  return fields;
}

/**
 * Reads the password of a connection from a password file (`~/.pgpass`). Like libpq, it takes the first matching line,
 * treats a socket directory as `localhost`, and ignores a file that others may read.
 */
export function passwordFromFile(
  path: string,
  key: { host: string; port: number; database: string; user: string },
): string | undefined {
  try {
    const stat = statSync(path);
    if (!stat.isFile() || (process.platform !== "win32" && (stat.mode & 0o077) !== 0)) return undefined;
  } catch {
    return undefined;
  }
  const wanted = [
    key.host.startsWith("/") ? "localhost" : key.host,
    String(key.port),
    key.database,
    key.user,
  ];
  for (const line of (read(path) ?? "").split(/\r?\n/)) {
    if (line === "" || line.startsWith("#")) continue;
    const fields = passwordFields(line);
    if (fields.length === 5 && wanted.every((value, i) => fields[i] === "*" || fields[i] === value))
      return fields[4];
  }
  return undefined;
}

/** Where the password file is: `PGPASSFILE`, otherwise `~/.pgpass`. */
export const passwordFile = (env: NodeJS.ProcessEnv): string =>
  env["PGPASSFILE"] || join(homeOf(env), ".pgpass");

function serviceSection(text: string, service: string): Record<string, string> | null {
  let found: Record<string, string> | null = null;
  for (const raw of text.split(/\r?\n/)) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) continue;
    if (line.startsWith("[")) {
      if (found) break;
      if (line === `[${service}]`) found = {};
    } else if (found) {
      const equals = line.indexOf("=");
      if (equals > 0) found[line.slice(0, equals).trim()] = line.slice(equals + 1).trim();
    }
  }
  return found;
}

/** Reads the keywords of a connection service, from the user's file first, then from the system's. */
export function serviceKeywords(service: string, env: NodeJS.ProcessEnv): Record<string, string> {
  const files = [
    env["PGSERVICEFILE"] || join(homeOf(env), ".pg_service.conf"),
    ...(env["PGSYSCONFDIR"] ? [join(env["PGSYSCONFDIR"], "pg_service.conf")] : []),
  ];
  for (const file of files) {
    const section = serviceSection(read(file) ?? "", service);
    if (section) return section;
  }
  throw new UsageError(`Connection service "${service}" is not defined in any of ${files.join(", ")}.`);
}

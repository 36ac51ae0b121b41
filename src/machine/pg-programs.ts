import { execFile } from "node:child_process";
import { access, constants, readdir, realpath } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";

import { ShardferryError } from "../errors.ts";
import { cacheFolders } from "./cache-folder.ts";

const run = promisify(execFile);

/** The client programs that a move needs, both of the same major version. */
export interface PgDump {
  pgDump: string;
  pgRestore: string;
  major: number;
}

/** There is no pg_dump that is at least as new as the source server. */
export class NoPgDumpError extends ShardferryError {
  constructor(minMajor: number, found: readonly PgDump[]) {
    const seen = found.map(({ pgDump, major }) => `${pgDump} has version ${major}`).join(", ");
    super(
      "pg_dump_missing",
      `A source server of version ${minMajor} needs pg_dump and pg_restore ${minMajor} or newer; ` +
        `${seen || "none was found"}. Install PostgreSQL's client programs of version ${minMajor} ` +
        `(for example the package postgresql-client-${minMajor}), or set PG_BIN to their folder.`,
    );
  }
}

let known: Promise<PgDump[]> | undefined;

/**
 * Finds pg_dump and pg_restore for a source of the given major version: those in `PG_BIN` if they are new enough, else
 * the oldest that are. The oldest, because a newer dump contains settings that an older destination does not know.
 */
export async function findPgDump(minMajor: number): Promise<PgDump> {
  const found = await (known ??= listPgDumps());
  const fitting = found.filter(({ major }) => major >= minMajor);
  const own = ownOf(found);
  const preferred = fitting.find((one) => one === own);
  const oldest = fitting.reduce<PgDump | undefined>(
    (best, one) => (best && best.major <= one.major ? best : one),
    undefined,
  );
  const chosen = preferred ?? oldest;
  if (!chosen) throw new NoPgDumpError(minMajor, found);
  return chosen;
}

/** Those in the folder that was named, which has to have the programs: others would be taken without a word. */
function ownOf(found: readonly PgDump[]): PgDump | undefined {
  const folder = process.env["PG_BIN"];
  if (!folder) return undefined;
  const own = found.find(({ pgDump }) => pgDump === join(folder, "pg_dump"));
  if (own) return own;
  const text = `PG_BIN is ${folder}, and that folder has no pg_dump and pg_restore that can be run: correct it, or leave it out.`;
  throw new ShardferryError("pg_dump_missing", text);
}

/** Forgets the programs found so far, for a process that installs some itself. */
export function forgetPgDumps(): void {
  known = undefined;
}

async function listPgDumps(): Promise<PgDump[]> {
  const found = await Promise.all((await binaryFolders()).map(readPgDump));
  return found.filter((one) => one !== null);
}

async function readPgDump(folder: string): Promise<PgDump | null> {
  const [pgDump, pgRestore] = [join(folder, "pg_dump"), join(folder, "pg_restore")];
  // Debian's /usr/bin/pg_dump is a wrapper that chooses a version by itself; the real ones are in versioned folders.
  const real = await realpath(pgDump).catch(() => null);
  if (!real || real.endsWith("/pg_wrapper") || !(await isExecutable(pgRestore))) return null;
  const major = await majorOf(pgDump);
  return major === null ? null : { pgDump, pgRestore, major };
}

/** Returns every folder that may contain PostgreSQL's programs, the most explicit one first. */
export async function binaryFolders(): Promise<string[]> {
  const own = process.env["PG_BIN"] ? [process.env["PG_BIN"]] : [];
  const path = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  return [...new Set([...own, ...path, ...(await versionedFolders()), ...(await cachedFolders())])];
}

/** Returns the folders that distributions use, each for one major version. */
async function versionedFolders(): Promise<string[]> {
  const patterns: [parent: string, name: RegExp, bin: string][] = [
    ["/usr/lib/postgresql", /^\d+$/, "bin"], // Debian, Ubuntu
    ["/usr", /^pgsql-\d+$/, "bin"], // Red Hat, PGDG
    ["/opt/homebrew/opt", /^(postgresql|libpq)(@\d+)?$/, "bin"],
    ["/usr/local/opt", /^(postgresql|libpq)(@\d+)?$/, "bin"], // Homebrew on Intel
    ["/Applications/Postgres.app/Contents/Versions", /^\d+$/, "bin"],
  ];
  const found = await Promise.all(
    patterns.map(async ([parent, name, bin]) => {
      const children = await readdir(parent).catch(() => []);
      return children.filter((child) => name.test(child)).map((child) => join(parent, child, bin));
    }),
  );
  return found.flat();
}

/** Returns the folders of the versions that the set-up has downloaded. */
export async function cachedFolders(): Promise<string[]> {
  const found = await Promise.all(
    cacheFolders().map(async (cache) => {
      const parent = join(cache, "postgresql");
      const versions = await readdir(parent).catch(() => []);
      return versions.filter((name) => /^\d+(\.\d+)*$/.test(name)).map((name) => join(parent, name, "bin"));
    }),
  );
  return found.flat();
}

/** Returns the major version of a PostgreSQL program; null if it cannot be run. */
export async function majorOf(program: string): Promise<number | null> {
  const answer = await run(program, ["--version"], { timeout: 10_000 }).catch(() => null);
  const major = /\(PostgreSQL\) (\d+)/.exec(answer?.stdout ?? "")?.[1];
  return major === undefined ? null : Number(major);
}

/** Returns whether a program exists and may be run. */
export async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

import { join } from "node:path";

import { ShardferryError } from "../errors.ts";
import { binaryFolders, cachedFolders, isExecutable, majorOf } from "../machine/pg-programs.ts";
import { type Major, MAJORS } from "../postgres/server.ts";

/** The programs of one PostgreSQL server. */
export interface PostgresBinaries {
  major: Major;
  /** The folder of initdb, postgres and the rest. */
  bin: string;
}

let known: Promise<PostgresBinaries[]> | undefined;

/** Finds every PostgreSQL server on this machine, newest version first, and within a version those of the cache first. */
export function listPostgres(): Promise<PostgresBinaries[]> {
  return (known ??= search());
}

/** Forgets the servers found so far, for a process that has just downloaded some. */
export function forgetPostgres(): void {
  known = undefined;
}

/** Finds the server of one major version, or the newest one. */
export async function findPostgres(major?: Major): Promise<PostgresBinaries> {
  const found = await listPostgres();
  const chosen = found.find((one) => major === undefined || one.major === major);
  if (chosen) return chosen;
  throw new ShardferryError(
    "postgres_missing",
    `No PostgreSQL ${major ?? "server"} on this machine. In a checkout, \`npm run setup -- --servers=all\` fetches ` +
      `versions ${MAJORS[0]} to ${MAJORS.at(-1)}; otherwise install PostgreSQL with its server programs.`,
  );
}

async function search(): Promise<PostgresBinaries[]> {
  const folders = [...new Set([...(await cachedFolders()), ...(await binaryFolders())])];
  const found = await Promise.all(folders.map(readFolder));
  return found.filter((one) => one !== null).sort((a, b) => b.major - a.major);
}

async function readFolder(bin: string): Promise<PostgresBinaries | null> {
  const programs = ["postgres", "initdb", "pg_basebackup"].map((name) => isExecutable(join(bin, name)));
  if ((await Promise.all(programs)).includes(false)) return null;
  const major = await majorOf(join(bin, "postgres"));
  const known = MAJORS.find((one) => one === major);
  return known ? { major: known, bin } : null;
}

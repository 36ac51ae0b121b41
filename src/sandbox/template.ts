import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

import { makeCacheFolder } from "./cache.ts";
import type { PostgresBinaries } from "./find.ts";
import { giveToServers } from "./folders.ts";
import { serverUser } from "./user.ts";

const run = promisify(execFile);

/** Changes when the way a template is made changes, so that old ones are not used. */
const RECIPE = 1;

/** Runs a program under the servers' user. */
export async function runAsServer(
  program: string,
  args: string[],
  env: Record<string, string> = {},
): Promise<string> {
  const user = serverUser();
  const { stdout } = await run(program, args, {
    cwd: "/",
    env: { PATH: process.env["PATH"] ?? "", LC_ALL: "C", ...env },
    ...(user && { uid: user.uid, gid: user.gid }),
  });
  return stdout;
}

/** Copies a fresh data folder to the given place and answers the password of its user `postgres`. */
export async function copyTemplate(binaries: PostgresBinaries, dataDir: string): Promise<string> {
  const template = await ensureTemplate(binaries);
  await runAsServer("cp", ["-R", join(template, "data"), dataDir]);
  return readFileSync(join(template, "password"), "utf8");
}

/** Runs initdb once for each version and user; every server after that is a copy, which is several times faster. */
async function ensureTemplate(binaries: PostgresBinaries): Promise<string> {
  const version = await runAsServer(join(binaries.bin, "postgres"), ["--version"]);
  const minor = /\(PostgreSQL\) ([\w.]+)/.exec(version)?.[1] ?? String(binaries.major);
  const parent = makeCacheFolder("templates");
  const template = join(parent, `${minor}-${serverUser()?.name ?? process.getuid?.() ?? "me"}-${RECIPE}`);
  if (existsSync(template)) return template;

  const unfinished = mkdtempSync(join(parent, "unfinished-"));
  giveToServers(unfinished);
  const passwordFile = join(unfinished, "password");
  writeFileSync(passwordFile, randomBytes(16).toString("hex"), { mode: 0o600 });
  giveToServers(passwordFile);
  try {
    await initdb(binaries, join(unfinished, "data"), passwordFile);
    renameSync(unfinished, template);
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true });
    // Another process was faster.
    if (!existsSync(template)) throw error;
  }
  return template;
}

async function initdb(binaries: PostgresBinaries, dataDir: string, passwordFile: string): Promise<void> {
  const attempt = (locale: string): Promise<string> =>
    runAsServer(join(binaries.bin, "initdb"), [
      ...["-D", dataDir, "--username=postgres", "--auth=scram-sha-256", `--pwfile=${passwordFile}`],
      ...["--encoding=UTF8", `--locale=${locale}`, "--no-sync"],
    ]);
  // macOS and old distributions have no C.UTF-8.
  await attempt("C.UTF-8").catch(() => attempt("C"));
}

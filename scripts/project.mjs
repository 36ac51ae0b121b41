// Shared by the scripts. Imports only Node.js's own modules, because they run before the packages are installed.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, relative } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

/** The folder of package.json. */
export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

/** An error whose message is sufficient, so it is shown without a stack trace. */
export class SetupError extends Error {}

/** Reports progress; on stderr, so as not to mix with the output of the next command. */
export const say = (line) => process.stderr.write(`${line}\n`);

/** Runs a program to its end, without input; its output goes to stderr. */
export async function run(command, args) {
  const child = spawn(command, args, { cwd: ROOT, stdio: ["ignore", 2, 2] });
  const code = await new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status, signal) => resolve(status ?? signal));
  });
  if (code !== 0) throw new SetupError(`${[command, ...args].join(" ")} failed (${code}).`);
}

/** Lists the files under some folders (or files), with paths relative to the root. */
export function listFiles(...starts) {
  return starts.flatMap((start) => {
    const path = join(ROOT, start);
    const stat = statSync(path, { throwIfNoEntry: false });
    if (!stat) return [];
    if (!stat.isDirectory()) return [start];
    return readdirSync(path).flatMap((name) => listFiles(relative(ROOT, join(path, name))));
  });
}

/** Returns a fingerprint of files by name, size and modification time; cheap enough for every start. */
export function fingerprint(files) {
  const hash = createHash("sha256");
  for (const file of [...files].sort()) {
    const { size, mtimeMs } = statSync(join(ROOT, file));
    hash.update(`${file}\0${size}\0${mtimeMs}\n`);
  }
  return hash.digest("hex");
}

/** Returns a fingerprint of files by their contents. */
export function contentFingerprint(files) {
  const hash = createHash("sha256");
  for (const file of [...files].sort()) hash.update(`${file}\0`).update(readFileSync(join(ROOT, file)));
  return hash.digest("hex");
}

/** Returns the text of a file, or null if it does not exist. */
export function readIfThere(file) {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if (error.code === "ENOENT") return null;
    throw error;
  }
}

/** Runs a function while no other process sets up this checkout; takes over the lock of a dead process. */
export async function withLock(work) {
  const lock = join(ROOT, ".cache", "setup.lock");
  mkdirSync(dirname(lock), { recursive: true });
  let told = false;
  while (!takeLock(lock)) {
    const owner = Number(readIfThere(lock) ?? 0);
    if (owner > 0 && !isAlive(owner)) rmSync(lock, { force: true });
    else if (!told) say(`Waiting for another set-up to finish: process ${owner} holds ${lock}.`);
    told = true;
    await sleep(100);
  }
  try {
    return await work();
  } finally {
    rmSync(lock, { force: true });
  }
}

/** The file appears together with our pid in it, so that a lock always has an owner. */
function takeLock(lock) {
  const own = `${lock}.${process.pid}`;
  writeFileSync(own, String(process.pid));
  try {
    linkSync(own, lock);
    return true;
  } catch (error) {
    if (error.code === "EEXIST") return false;
    throw error;
  } finally {
    rmSync(own);
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

/** Runs a script's main function and turns its error into a message and an exit code. */
export async function main(work) {
  try {
    await work();
  } catch (error) {
    say(
      error instanceof SetupError || error.code ? `Error: ${error.message}` : (error.stack ?? String(error)),
    );
    process.exitCode = 1;
  }
}

/** Returns whether a module is the script that Node.js was started with. */
export const isMain = (url) =>
  process.argv[1] !== undefined && fileURLToPath(url) === realpathSync(process.argv[1]);

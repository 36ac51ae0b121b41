import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readdirSync, statSync } from "node:fs";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { isReachable, serverUser } from "../machine/server-user.ts";

/**
 * Stops every server of a sandbox folder and removes the folder, as soon as its standard input ends. The input is a pipe
 * that only the owner holds, so the kernel closes it however the owner dies, even by kill -9. A pid is trusted only if
 * its command line names the folder. SIGCONT wakes a server that a test has stopped.
 */
const WATCHER = `
root=$1
trap '' INT TERM HUP
while read -r _; do :; done
ours() {
  if [ -r "/proc/$1/cmdline" ]; then grep -qF -- "$root" "/proc/$1/cmdline"
  else ps -p "$1" -o args= 2>/dev/null | grep -qF -- "$root"; fi
}
for file in "$root"/*/server.pid; do
  [ -f "$file" ] || continue
  pid=$(cat "$file")
  ours "$pid" || continue
  kill -QUIT "$pid"; kill -CONT "$pid"
done
for file in "$root"/*/server.pid; do
  [ -f "$file" ] || continue
  pid=$(cat "$file"); tries=0
  while ours "$pid" 2>/dev/null; do
    tries=$((tries + 1))
    [ "$tries" -gt 100 ] && kill -KILL "$pid"
    sleep 0.1
  done
done
rm -rf "$root"
`;

/** The name of a folder contains its owner's pid, by which the sweep finds stale folders. */
const PREFIX = "shardferry-sandbox-";
const OWNER = new RegExp(`^${PREFIX}(\\d+)-`);

let root: string | undefined;
/** The root while it is being created: servers that start concurrently share one. */
let opening: Promise<string> | undefined;
let watcher: ChildProcess | undefined;
let count = 0;

/** Creates a folder for one server, owned by the user that it runs under and removed when this process ends. */
export async function makeServerFolder(name: string): Promise<string> {
  root = await (opening ??= openRoot());
  const folder = join(root, `${name}-${++count}`);
  mkdirSync(folder, { mode: 0o700 });
  giveToServers(folder);
  return folder;
}

/** Gives a file or folder to the user that the servers run under. */
export function giveToServers(path: string): void {
  const user = serverUser();
  if (user) chownSync(path, user.uid, user.gid);
}

async function openRoot(): Promise<string> {
  await sweep();
  const folder = mkdtempSync(join(temporaryFolder(), `${PREFIX}${process.pid}-`));
  if (serverUser()) chmodSync(folder, 0o711);
  watcher = spawnWatcher(folder, "pipe");
  watcher.unref();
  (watcher.stdin as Socket).unref();
  return folder;
}

/** Stops every server of this process and removes their folders, as the end of the process does; waits for that. */
export async function closeSandbox(): Promise<void> {
  const closing = watcher;
  if (!closing) return;
  watcher = root = opening = undefined;
  const closed = once(closing, "close");
  closing.ref();
  closing.stdin?.end();
  await closed;
}

/** Returns the folder for temporary files, or a common one if the servers' user cannot enter it. */
export function temporaryFolder(): string {
  const place = [tmpdir(), "/tmp", "/var/tmp"].find((folder) => isReachable(folder));
  if (!place) throw new Error("No temporary folder that an unprivileged user can enter: set TMPDIR to one.");
  return place;
}

/**
 * Stops and removes the leftovers of dead owners, and waits until they are gone: the watcher of an owner that has just
 * died may still be running, and after a crash of the machine there is no watcher.
 */
export async function sweep(): Promise<void> {
  const parent = temporaryFolder();
  const stale = readdirSync(parent)
    .filter((name) => OWNER.test(name) && hasEnded(Number(OWNER.exec(name)?.[1])))
    .map((name) => join(parent, name))
    .filter((folder) => folder !== root && isOurs(folder));
  await Promise.all(stale.map((folder) => once(spawnWatcher(folder, "ignore"), "close")));
}

function spawnWatcher(folder: string, stdin: "pipe" | "ignore"): ChildProcess {
  return spawn("/bin/sh", ["-c", WATCHER, "shardferry-watcher", folder], {
    stdio: [stdin, "ignore", "ignore"],
    // In its own session, so that ^C in the terminal does not end the watcher before the servers.
    detached: true,
    cwd: "/",
    env: { PATH: process.env["PATH"] },
  });
}

const isOurs = (folder: string): boolean =>
  statSync(folder, { throwIfNoEntry: false })?.uid === process.getuid?.();

function hasEnded(pid: number): boolean {
  // A folder with our own pid that is not ours comes from an earlier process with that pid.
  if (pid === process.pid) return true;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
}

import { readFileSync, statSync } from "node:fs";
import { dirname } from "node:path";

/** The account that the servers run under if we are root, because PostgreSQL refuses to run as root. */
export interface ServerUser {
  name: string;
  uid: number;
  gid: number;
}

const CANDIDATES = ["postgres", "nobody"];

/** Returns the user that the servers run as; null means the current user, which is right for everybody but root. */
export function serverUser(): ServerUser | null {
  if (process.getuid?.() !== 0) return null;
  const accounts = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .map((line) => line.split(":"));
  for (const candidate of CANDIDATES) {
    const [name, , uid, gid] = accounts.find((fields) => fields[0] === candidate) ?? [];
    if (name && uid && gid) return { name, uid: Number(uid), gid: Number(gid) };
  }
  throw new Error(
    `PostgreSQL does not run as root, and none of the users ${CANDIDATES.join(", ")} exists: run this as an ordinary user.`,
  );
}

/** Returns whether the servers' user can enter a folder; if we are root, it cannot enter /root or most mktemp folders. */
export function isReachable(folder: string): boolean {
  const user = serverUser();
  if (!user) return true;
  const stat = statSync(folder, { throwIfNoEntry: false });
  // A folder that does not exist yet will be created with sufficient permissions.
  const open = !stat || (stat.mode & 0o001) !== 0 || (stat.uid === user.uid && (stat.mode & 0o100) !== 0);
  return open && (dirname(folder) === folder || isReachable(dirname(folder)));
}

import { readFileSync, statSync } from "node:fs";
import { dirname } from "node:path";

/** The account that the servers run under when we are root, because PostgreSQL refuses to run as root. */
export interface ServerUser {
  name: string;
  uid: number;
  gid: number;
}

const CANDIDATES = ["postgres", "nobody"];

/** Whom the servers run as: null means ourselves, which is right for everybody but root. */
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
    `PostgreSQL does not run as root, and none of the users ${CANDIDATES.join(", ")} exists: run as an ordinary user.`,
  );
}

/** Whether the servers' user can enter a folder: as root, /root and most folders of mktemp are closed to it. */
export function isReachable(folder: string): boolean {
  const user = serverUser();
  if (!user) return true;
  const stat = statSync(folder, { throwIfNoEntry: false });
  // What does not exist yet is created by us, open enough.
  const open = !stat || (stat.mode & 0o001) !== 0 || (stat.uid === user.uid && (stat.mode & 0o100) !== 0);
  return open && (dirname(folder) === folder || isReachable(dirname(folder)));
}

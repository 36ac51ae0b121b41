import { lstat, mkdir } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";

import { ShardferryError } from "../errors.ts";

/**
 * `<tmp>/shardferry.<uid>`, made at need, of its owner only: logs of moves and working files. What lies in
 * it is run as SQL, so a folder that somebody else has made there first is refused.
 */
export async function runtimeFolder(): Promise<string> {
  const { uid } = userInfo();
  const folder = join(tmpdir(), `shardferry.${uid}`);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const found = await lstat(folder);
  const isOurs = found.isDirectory() && (uid === -1 || (found.uid === uid && (found.mode & 0o077) === 0));
  if (!isOurs) {
    throw new ShardferryError(
      "unsafe_folder",
      `${folder} is not a folder of yours alone (mode 0700): remove it`,
    );
  }
  return folder;
}

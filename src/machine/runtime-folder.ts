import { lstat, mkdir } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";

import { ShardferryError } from "../errors.ts";

/**
 * Returns `<tmp>/shardferry.<uid>`, for logs of moves and working files; creates it if necessary, for its owner only. Its
 * files are run as SQL, so a folder that somebody else has created there is refused.
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
      `${folder} must be a folder that only you can access (mode 0700): remove it`,
    );
  }
  return folder;
}

import { mkdir } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";

/** `<tmp>/shardferry.<uid>`, made at need, readable by its owner only: logs of moves and working files. */
export async function runtimeFolder(): Promise<string> {
  const folder = join(tmpdir(), `shardferry.${userInfo().uid}`);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  return folder;
}

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";

import { ROOT } from "./documents.ts";

function run(...args: string[]): { status: number | null; stderr: string } {
  const { status, stderr } = spawnSync(process.execPath, args, { cwd: ROOT, encoding: "utf8" });
  return { status, stderr };
}

test("usage, figures and SQL functions in the documents match the program, the benchmark and the SQL files", () => {
  // The usage comes from the built program.
  assert.equal(run(join(ROOT, "scripts/setup.mjs"), "--servers=none").status, 0);
  assert.deepEqual(run(join(ROOT, "scripts/docs.mjs"), "--check"), { status: 0, stderr: "" });
});

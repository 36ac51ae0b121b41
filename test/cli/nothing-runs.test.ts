import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";

import { run } from "./run-command.ts";

it("steering starts no Temporal server only to say that nothing is running", async () => {
  for (const [args, status, says] of [
    [["confirm"], 1, "Nothing is running."],
    [["abort"], 1, "Nothing is running."],
    [["skip-lag"], 1, "Nothing is running."],
    [["pause"], 1, "No rebalance is running."],
    [["attach"], 1, "Nothing is running."],
    [["abort", "move-sh0042"], 2, 'No workflow "move-sh0042" is running.'],
    [["attach", "move-sh0042"], 2, 'No workflow "move-sh0042" is running.'],
  ] as const) {
    const folder = mkdtempSync(join(tmpdir(), "nothing-runs-"));
    try {
      const ended = await run(args, { env: { SHARDFERRY_STATE_DIR: folder, TEMPORAL_ADDRESS: "" } });
      assert.equal(ended.status, status, ended.stderr);
      assert.ok(ended.stderr.includes(says), ended.stderr);
      assert.equal(existsSync(join(folder, "temporal.db")), false, args.join(" "));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
});

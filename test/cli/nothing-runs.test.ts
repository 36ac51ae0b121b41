import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";

import { run } from "./run-command.ts";

it("steering starts no Temporal server only to say that nothing runs", async () => {
  for (const [args, status, says] of [
    [["confirm"], 1, "Nothing runs."],
    [["abort"], 1, "Nothing runs."],
    [["skip-lag"], 1, "Nothing runs."],
    [["pause"], 1, "No rebalance runs."],
    [["attach"], 1, "Nothing runs."],
    [["abort", "move-sh0042"], 2, 'No workflow "move-sh0042" runs.'],
    [["attach", "move-sh0042"], 2, 'No workflow "move-sh0042" runs.'],
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

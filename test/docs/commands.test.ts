import assert from "node:assert/strict";
import { test } from "node:test";

import { findAction } from "../../src/cli/actions/index.ts";
import { commandOf } from "../../src/cli/command.ts";
import { documents, shardferryCalls } from "./documents.ts";

/** Returns why the command line does not understand these arguments, or null if it does. Runs nothing. */
async function misunderstanding(args: readonly string[]): Promise<string | null> {
  const [name, ...rest] = args;
  if (name === undefined || name === "--help" || name === "--version") return null;
  const entry = findAction(name);
  if (!entry) return `there is no action ${name}`;
  const command = commandOf(name, entry.summary, await entry.load());
  command.exitOverride().configureOutput({ writeOut: () => undefined, writeErr: () => undefined });
  command.action(() => undefined);
  try {
    await command.parseAsync([...rest], { from: "user" });
    return null;
  } catch (error) {
    return (error as { exitCode: number }).exitCode === 0 ? null : (error as Error).message;
  }
}

test("the command line understands every shardferry command in the documents", async () => {
  const wrong: string[] = [];
  let checked = 0;
  for (const document of documents()) {
    for (const args of shardferryCalls(document)) {
      checked++;
      const why = await misunderstanding(args);
      if (why !== null) wrong.push(`${document.path}: shardferry ${args.join(" ")}: ${why}`);
    }
  }
  assert.deepEqual(wrong, []);
  assert.ok(checked > 60, `only ${checked} commands found`);
});

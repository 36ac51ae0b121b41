import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";

import { ACTIONS } from "../../src/cli/actions/index.ts";
import { readGrammar } from "../../src/cli/completion/grammar.ts";
import { run, runJson } from "./run-command.ts";

interface JsonError {
  error: { code: string; message: string };
}

describe("the command line", () => {
  it("prints its usage if there are no arguments", async () => {
    const { stdout, status } = await run([]);
    assert.equal(status, 0);
    for (const name of Object.keys(ACTIONS)) assert.match(stdout, new RegExp(`^ +${name}\\b`, "m"));
  });

  it("has help with an example for every action", async () => {
    await Promise.all(
      Object.keys(ACTIONS).map(async (name) => {
        const { stdout, status } = await run([name, "--help"]);
        assert.equal(status, 0, name);
        assert.match(stdout, new RegExp(`Example:\\n.*shardferry ${name}`), name);
      }),
    );
    assert.equal((await run(["help", "move"])).stdout, (await run(["move", "--help"])).stdout);
  });

  it("refuses unknown actions and options with status 2, and names the candidates", async () => {
    const action = await run(["mvoe"]);
    assert.equal(action.status, 2);
    assert.match(action.stderr, /Unknown action "mvoe".*install, list, allocate, factor, move/);
    const option = await run(["move", "--shrad=4"]);
    assert.equal(option.status, 2);
    assert.match(option.stderr, /--shrad/);
    assert.match(option.stderr, /--shard, --to, --from/);
    const excess = await run(["move", "42"]);
    assert.deepEqual([excess.status, /got 1\.\n/.test(excess.stderr)], [2, true], excess.stderr);
  });

  it("reports all problems of the options together, with status 2", async () => {
    const { stderr, status, stdout } = await run(["move", "--shard=x", "--wait=perhaps"]);
    assert.deepEqual([status, stdout], [2, ""]);
    for (const option of ["--shard", "--to", "--activate-on-destination", "--wait"]) {
      assert.match(stderr, new RegExp(`^${option}: `, "m"));
    }
  });

  it("accepts and checks in doctor every option of move, copy and rebalance", async () => {
    const grammar = await readGrammar(ACTIONS);
    const flags = (name: string): string[] =>
      grammar.find(({ names }) => names.includes(name))!.options.map(({ flag }) => flag);
    const known = new Set(flags("doctor"));
    for (const name of ["move", "copy", "rebalance"])
      assert.deepEqual(
        flags(name).filter((flag) => !known.has(flag)),
        [],
        name,
      );
    for (const wrong of ["--wait=banana", "--copy-method=x", "--max-write-block-ms=0", "--max-bytes=much"]) {
      const { status, stderr } = await run(["doctor", wrong]);
      assert.deepEqual([status, stderr.includes(wrong.split("=")[0]!)], [2, true], stderr);
    }
  });

  it("needs databases, and says how to specify them", async () => {
    const { stderr, status } = await run(["list"]);
    assert.equal(status, 2);
    assert.match(stderr, /--dsns.*DSNS.*PGHOST/);
  });

  it("prints errors as one JSON document if told to, and nothing else on stdout", async () => {
    const usage = await runJson<JsonError>(["mvoe"]);
    assert.equal(usage.error.code, "usage");
    const folder = mkdtempSync(join(tmpdir(), "config-"));
    try {
      writeFileSync(
        join(folder, "shardferry.config.mjs"),
        "console.log('noise'); export default { DSNS: '127.0.0.1:1/x' };",
      );
      const { error } = await runJson<JsonError>(["list"], { cwd: folder, env: { PGUSER: "joe" } });
      assert.equal(error.code, "unreachable");
      assert.match(error.message, /127\.0\.0\.1:1\/x: connection refused/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("knows its version", async () => {
    assert.match((await run(["--version"])).stdout, /^\d+\.\d+\.\d+\n$/);
  });
});

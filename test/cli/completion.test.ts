import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { before, describe, it } from "node:test";
import { promisify } from "node:util";

import { ACTIONS } from "../../src/cli/actions/index.ts";
import { type ActionWord, readGrammar } from "../../src/cli/completion/grammar.ts";
import { completionScript, SHELLS } from "../../src/cli/completion/scripts.ts";
import { run } from "./run-command.ts";

describe("the completion of commands", () => {
  let grammar: ActionWord[];
  before(async () => {
    grammar = await readGrammar(ACTIONS);
  });

  /** Returns what bash offers while the last of the words is being typed. */
  async function offered(...words: string[]): Promise<string[]> {
    const script = `${completionScript("bash", grammar)}
      COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _shardferry; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout } = await promisify(execFile)("bash", ["-c", script, "bash", "shardferry", ...words]);
    return stdout.split("\n").filter(Boolean);
  }

  it("offers actions first, then the options of the action", async () => {
    assert.deepEqual(await offered("mo"), ["move"]);
    assert.ok((await offered("")).length > Object.keys(ACTIONS).length);
    assert.deepEqual(await offered("move", "--sh"), ["--shard="]);
    assert.deepEqual(await offered("ls", "--verb"), ["--verbose"]);
    assert.deepEqual(await offered("--json", "cleanup", "--older"), ["--older-than="]);
    assert.deepEqual(await offered("completion", "f"), ["fish"]);
    assert.deepEqual(await offered("move", "--shard", "="), []);
    assert.deepEqual(await offered("move", "--shard", "=", "4"), []);
  });

  it("has every action and option in each shell, whatever characters the summaries contain", () => {
    const odd: ActionWord = {
      names: ["odd"],
      summary: "it's [a: \\ `b` $c",
      words: ["w"],
      options: [{ flag: "--odd", summary: 'it\'s [b]: "x"', value: "required" }],
    };
    for (const shell of SHELLS) {
      const script = completionScript(shell, [...grammar, odd]);
      for (const { names, options } of [...grammar, odd]) {
        for (const name of names) assert.match(script, new RegExp(`\\b${name}\\b`), `${shell} ${name}`);
        for (const { flag } of options)
          assert.ok(script.includes(shell === "fish" ? `-l ${flag.slice(2)} ` : flag), `${shell} ${flag}`);
      }
    }
  });

  it("is printed for the supported shells, and for no others", async () => {
    for (const shell of SHELLS) {
      const { status, stdout } = await run(["completion", shell]);
      assert.deepEqual([status, stdout.includes("_shardferry") || shell === "fish"], [0, true]);
    }
    const { status, stderr } = await run(["completion", "tcsh"]);
    assert.equal(status, 2);
    assert.match(stderr, /bash, zsh, fish/);
  });
});

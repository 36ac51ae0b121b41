import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { before, describe, it } from "node:test";
import { isDeepStrictEqual, promisify } from "node:util";

import { ACTIONS } from "../../src/cli/actions/index.ts";
import { type ActionWord, readGrammar } from "../../src/cli/completion/grammar.ts";
import { completionScript, SHELLS } from "../../src/cli/completion/scripts.ts";
import { createNamespace, waitFor } from "../support/index.ts";
import { createIslands, LAUNCHER, run, start, stateFolder, userEnvironment } from "./run-command.ts";

describe("the completion of commands", () => {
  let grammar: ActionWord[];
  before(async () => {
    grammar = await readGrammar(ACTIONS);
  });

  /** Returns what bash offers while the last of the words is being typed. */
  async function offered(...words: string[]): Promise<string[]> {
    return offeredWith({}, ...words);
  }

  /** The same with an environment, in which the completion itself looks for values. */
  async function offeredWith(env: NodeJS.ProcessEnv, ...words: string[]): Promise<string[]> {
    const script = `${completionScript("bash", grammar)}
      COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _shardferry; printf '%s\\n' "\${COMPREPLY[@]}"`;
    // The shell calls the program by its name.
    const program = `shardferry() { "${LAUNCHER}" "$@"; }`;
    const { stdout, stderr } = await promisify(execFile)(
      "bash",
      ["-c", `${program}\n${script}`, "bash", "shardferry", ...words],
      { env: userEnvironment(env), cwd: stateFolder },
    );
    assert.equal(stderr, "");
    return stdout.split("\n").filter(Boolean);
  }

  it("offers actions first, then the options of the action", async () => {
    assert.deepEqual(await offered("mo"), ["move"]);
    assert.ok((await offered("")).length > Object.keys(ACTIONS).length);
    assert.deepEqual(await offered("move", "--sh"), ["--shard="]);
    assert.deepEqual(await offered("ls", "--verb"), ["--verbose"]);
    assert.deepEqual(await offered("--json", "cleanup", "--older"), ["--older-than="]);
    assert.deepEqual(await offered("completion", "f"), ["fish"]);
    assert.deepEqual(await offered("move", "--max-wal", "="), []);
    assert.deepEqual(await offered("move", "--max-wal", "=", "4"), []);
  });

  it("offers the shards and islands that there are, and the workflows that run", async () => {
    const { names, env } = await createIslands([1, 12]);
    // On a busy machine, its second may be over before the servers answer.
    const offers = (expected: readonly string[], values: NodeJS.ProcessEnv, ...words: string[]) =>
      waitFor(async () => isDeepStrictEqual((await offeredWith(values, ...words)).sort(), expected), {
        what: `${words.join(" ")} to be completed by ${expected.join(", ")}`,
      });
    await offers(["1", "12"], env, "move", "--shard", "=");
    await offers(["12"], env, "move", "--wait", "--shard", "=", "12");
    await offers(Object.values(names).sort(), env, "move", "--to", "=");
    // Bash takes the colon for the end of a word.
    const [host, rest] = names.a.split(":");
    await offers([rest!], env, "move", "--to", "=", host!, ":", rest!.slice(0, -1));

    const { address, namespace } = await createNamespace();
    const both = { ...env, TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: namespace };
    // No worker takes it, so it stays.
    const move = start(["move", "--shard=1", `--to=${names.b}`, "--activate-on-destination=yes"], {
      env: both,
    });
    await move.prints(/started move-sh0001/);
    await offers(["move-sh0001"], both, "abort", "mo");
    await offers([], both, "abort", "rebal");
    move.signal("SIGKILL");
    await move.ended();
  });

  it("offers nothing, within seconds and without a word, if nobody answers", async () => {
    // A server that takes connections, and never says anything.
    const silent = createServer(() => undefined).listen(0, "127.0.0.1");
    await once(silent, "listening");
    const { port } = silent.address() as AddressInfo;
    const secret = "sec-ret";
    const dsns = (place: string) => ({ DSNS: `postgresql://me:${secret}@${place}/app` });
    try {
      for (const env of [dsns(`127.0.0.1:${port}`), dsns("127.0.0.1:1"), dsns("x@y"), { PGUSER: "me" }]) {
        for (const kind of ["shards", "workflows"]) {
          const began = performance.now();
          const { status, stdout, stderr } = await run(["completion", kind], {
            env: { ...env, TEMPORAL_ADDRESS: `127.0.0.1:${port}` },
          });
          assert.deepEqual([status, stdout.trim(), stderr], [0, "", ""]);
          // Without the deadline, a client waits for ten seconds.
          assert.ok(performance.now() - began < 8000);
        }
      }
      const { stdout } = await run(["completion", "islands"], { env: dsns("host1") });
      assert.equal(stdout, "host1/app\n");
    } finally {
      silent.close();
    }
  });

  it("has every action and option in each shell, whatever characters the summaries contain", () => {
    const odd: ActionWord = {
      names: ["odd"],
      summary: "it's [a: \\ `b` $c",
      words: ["w"],
      takesWorkflow: false,
      options: [{ flag: "--odd", summary: 'it\'s [b]: "x"', value: "required", names: null }],
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

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

import { type Command, start, userEnvironment } from "../cli/run-command.ts";
import { waitFor } from "../support/index.ts";
import { codeBlocks, readDocument, ROOT, section } from "./documents.ts";

const QUICKSTART = section(readDocument("README.md"), "Quickstart");

/** Starts a playground; returns the line to paste as well. */
async function open(): Promise<{ dev: Command; exportLine: string; folder: string }> {
  // The second line of the first block; the first one has built the program already.
  const [, line] = codeBlocks(QUICKSTART, "sh")[0]!.trim().split("\n");
  assert.match(line!, /^bin\/shardferry /);
  const dev = start(line!.split(" ").slice(1));
  await dev.prints(/^\^C here or /m);
  const [exportLine] = /^export DSNS=.*$/m.exec(dev.stdout)!;
  const [, state] = / SHARDFERRY_STATE_DIR=(\S+)/.exec(exportLine)!;
  return { dev, exportLine, folder: dirname(state!) };
}

/** Runs a script as it would be pasted into another terminal; returns what it prints. */
async function paste(script: string): Promise<string> {
  const env = userEnvironment();
  delete env["SHARDFERRY_STATE_DIR"];
  return (await promisify(execFile)("bash", ["-euc", script], { cwd: ROOT, env })).stdout;
}

/** What is left: processes that name the folder, and the folder itself. */
function leftovers(folder: string): string[] {
  const commands = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
      } catch {
        return "";
      }
    });
  return [...commands.filter((command) => command.includes(folder)), ...(existsSync(folder) ? [folder] : [])];
}

/** Numbers, ports and the padding of columns differ from run to run. */
const shape = (text: string): string => text.replace(/\d[\d.,]*/g, "N").replace(/[ \n]+/g, " ");

test("the README's quickstart works on the playground word for word, prints what it says, and `down` ends it all", async () => {
  const { dev, exportLine, folder } = await open();
  const printed = await paste(`${exportLine}\n${codeBlocks(QUICKSTART, "sh")[1]!}`);
  for (const expected of codeBlocks(QUICKSTART, "text"))
    assert.ok(shape(printed).includes(shape(expected).trim()), printed);
  assert.match(printed, /Dropped 1 leftover/);

  const stopped = await paste(`${exportLine}\nbin/shardferry down`);
  assert.match(stopped, /Stopped 1 worker and the embedded Temporal server/);
  const { status, stdout } = await dev.ended();
  assert.equal(status, 0, stdout);
  assert.match(stdout, /acknowledged writes: 0 lost, 0 doubled\. Writes that failed: 0\./);
  assert.deepEqual(leftovers(folder), []);
});

test("a playground that is killed leaves nothing, and another one beside it stays until ^C", async () => {
  const [killed, other] = await Promise.all([open(), open()]);
  killed.dev.signal("SIGKILL");
  await killed.dev.ended();
  await waitFor(() => leftovers(killed.folder).length === 0, { what: "the killed playground to be removed" });

  assert.match(await paste(`${other.exportLine}\nbin/shardferry list`), /Total: .*, 3 islands, 6 shards/);
  other.dev.signal("SIGINT");
  assert.equal((await other.dev.ended()).status, 0);
  assert.deepEqual(leftovers(other.folder), []);
});

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";

import { parseDsn } from "../../src/postgres/islands/dsn.ts";
import { expectNoLeftovers } from "../support/index.ts";
import { activePlaces, openStage } from "./examples.ts";
import { codeBlocks, readDocument, section } from "./support.ts";

test("the commands of the README's quickstart do what it says, as they stand there", async () => {
  const stage = await openStage();
  const { source, destination, env, folder } = stage;
  const [script] = codeBlocks(section(readDocument("README.md"), "Quickstart"), "sh");
  const [from, to] = [source, destination].map(({ dsn }) => parseDsn(dsn).name);
  // Other hosts, and their passwords from a file; nothing else.
  const here = script!
    .replaceAll("host1/app", from!)
    .replaceAll("host2/app", to!)
    .replaceAll("--to=host2", `--to=${to}`)
    .replace("export PGPASSWORD=secret\n", "");
  assert.ok(!/host[12]|secret/.test(here));

  await promisify(execFile)("bash", ["-euc", here], { cwd: folder, env });

  assert.deepEqual(await activePlaces(stage, "sh0001"), [destination.name]);
  assert.deepEqual(await activePlaces(stage, "sh0002"), [source.name]);
  assert.deepEqual(await destination.rows("SELECT * FROM sh0001.note"), []);
  await expectNoLeftovers(source, destination);
});

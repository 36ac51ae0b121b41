import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

import { parseDsn } from "../../src/postgres/islands/dsn.ts";
import { expectNoLeftovers } from "../support/index.ts";
import { codeBlocks, readDocument, ROOT, section } from "./documents.ts";
import { activePlaces, openStage } from "./examples.ts";

/** The parts of a checkout that the commands need; they write their own files beside these. */
const CHECKOUT = ["bin", "scripts", "package.json"];

test("the commands of the README for servers of one's own do what it says, exactly as written", async () => {
  const stage = await openStage();
  const { source, destination, env, folder } = stage;
  for (const name of CHECKOUT) symlinkSync(join(ROOT, name), join(folder, name));
  const script = codeBlocks(section(readDocument("README.md"), "On your own servers"), "sh").join("");
  const [from, to] = [source, destination].map(({ dsn }) => parseDsn(dsn).name);
  // Replaces only the hosts; their passwords come from a file.
  const here = script
    .replace("A=host1/app B=host2/app", `A=${from} B=${to}`)
    .replace(" PGPASSWORD=secret", "");
  assert.ok(!/host[12]|secret/.test(here));

  await promisify(execFile)("bash", ["-euc", here], { cwd: folder, env });

  assert.deepEqual(await activePlaces(stage, "sh0001"), [destination.name]);
  assert.deepEqual(await activePlaces(stage, "sh0002"), [source.name]);
  assert.deepEqual(await destination.rows("SELECT * FROM sh0001.note"), []);
  await expectNoLeftovers(source, destination);
});

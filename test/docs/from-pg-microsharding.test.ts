import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, symlinkSync } from "node:fs";
import { delimiter, join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

import { parseDsn } from "../../src/postgres/islands/dsn.ts";
import { expectNoLeftovers } from "../support/index.ts";
import { codeBlocks, readDocument, ROOT, section } from "./documents.ts";
import { activePlaces, openStage } from "./examples.ts";

test("the commands of pg-microsharding work under its name, exactly as the guide has them", async () => {
  const stage = await openStage();
  const { source, destination, env, folder } = stage;
  // The npm package installs this link.
  const bin = join(folder, "bin");
  mkdirSync(bin);
  symlinkSync(join(ROOT, "bin/shardferry"), join(bin, "pg-microsharding"));
  const page = readDocument("docs/pg-microsharding.md");
  const [script] = codeBlocks(section(page, "Command by command"), "sh");
  const [from, to] = [source, destination].map(({ dsn }) => parseDsn(dsn).name);
  const here = script!.replace(/host1(\/app)?/g, from!).replace(/host2(\/app)?/g, to!);

  const options = { cwd: folder, env: { ...env, PATH: [bin, env["PATH"]].join(delimiter) } };
  const { stdout } = await promisify(execFile)("bash", ["-euc", here], options);

  assert.match(stdout, /sh0001 .* 1\.2\b/);
  for (const schema of ["sh0001", "sh0002", "sh0003", "sh0004"])
    assert.deepEqual(await activePlaces(stage, schema), [destination.name]);
  assert.deepEqual(await destination.rows("SELECT * FROM tools.tool"), []);
  const left = "SELECT nspname FROM pg_namespace WHERE nspname ~ '^sh'";
  assert.deepEqual(await source.rows(left), []);
  await expectNoLeftovers(source, destination);
});

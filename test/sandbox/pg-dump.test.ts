import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";

import { findPgDump, forgetPgDumps, majorOf, NoPgDumpError } from "../../src/machine/pg-programs.ts";
import { findPostgres, MAJORS } from "../../src/sandbox/index.ts";
import { without } from "../support/versions.ts";

const saved = { PATH: process.env["PATH"], PG_BIN: process.env["PG_BIN"] };
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "shardferry-pg-dump-"));
  forgetPgDumps();
});
afterEach(() => {
  rmSync(folder, { recursive: true });
  for (const [name, value] of Object.entries(saved)) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
});

/** Creates a folder with programs that report a given version; that is all that is used of them here. */
function programs(major: number): string {
  const bin = join(folder, String(major));
  mkdirSync(bin);
  for (const name of ["pg_dump", "pg_restore"]) {
    writeFileSync(join(bin, name), `#!/bin/sh\necho "${name} (PostgreSQL) ${major}.1 (somewhere)"\n`);
    chmodSync(join(bin, name), 0o755);
  }
  return bin;
}

test("for each version of the source, pg_dump of exactly that version is found", async () => {
  for (const version of MAJORS.filter((major) => !without(major))) {
    const { pgDump, pgRestore, major } = await findPgDump(version);
    assert.equal(major, version);
    assert.equal(await majorOf(pgDump), version);
    assert.equal(await majorOf(pgRestore), version);
  }
});

test("PG_BIN is used even when an older pg_dump would do", async () => {
  process.env["PG_BIN"] = programs(99);
  assert.equal((await findPgDump(14)).pgDump, join(folder, "99", "pg_dump"));
});

test("a PG_BIN that is older than the source is skipped", async () => {
  process.env["PG_BIN"] = programs(13);
  assert.equal((await findPgDump(14)).major, 14);
});

test("a pg_dump on PATH is found", async () => {
  process.env["PATH"] = `${programs(98)}:${saved.PATH}`;
  assert.equal(dirname((await findPgDump(97)).pgDump), join(folder, "98"));
});

test("if every pg_dump is too old, the error names those that were found and what to install", async () => {
  process.env["PG_BIN"] = programs(96);
  await assert.rejects(findPgDump(97), (error: Error) => {
    assert.ok(error instanceof NoPgDumpError);
    assert.match(error.message, /96\/pg_dump has version 96/);
    assert.match(error.message, /postgresql-client-97/);
    return true;
  });
});

test("a server version that this machine does not have is an error that says how to get it", async () => {
  const unknown = 13 as 14;
  await assert.rejects(findPostgres(unknown), /No PostgreSQL 13.*npm run setup/);
});

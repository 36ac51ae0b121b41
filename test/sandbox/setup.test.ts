import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

function setUp(args: string[], env: Record<string, string> = {}): { status: number | null; said: string } {
  const { status, stderr } = spawnSync(process.execPath, [join(ROOT, "scripts/setup.mjs"), ...args], {
    encoding: "utf8",
    env: { ...process.env, ...env },
  });
  return { status, said: stderr };
}

test("setting up again does nothing, and is quick", () => {
  assert.equal(setUp(["--servers=all"]).status, 0);
  const before = statSync(join(ROOT, "dist/.built-from")).mtimeMs;
  const start = performance.now();
  const again = setUp(["--servers=all"]);
  const took = performance.now() - start;
  assert.deepEqual(again, { status: 0, said: "" });
  assert.equal(statSync(join(ROOT, "dist/.built-from")).mtimeMs, before);
  // It takes 0.2 s; the bound leaves room for the other tests of a busy machine.
  assert.ok(took < 2000, `took ${took} ms`);
});

test("what a set-up has fetched is found with another HOME", () => {
  const empty = mkdtempSync(join(tmpdir(), "shardferry-home-"));
  // A HOME whose cache the servers' user could also enter, unlike root's own.
  chmodSync(empty, 0o755);
  try {
    assert.equal(setUp(["--servers=any"]).status, 0);
    // With an empty PATH, whatever is found is in a cache.
    assert.deepEqual(
      foundServers({ PATH: empty, HOME: empty, XDG_CACHE_HOME: "" }),
      foundServers({ PATH: empty }),
    );
  } finally {
    rmSync(empty, { recursive: true });
  }
});

/** The servers that the built product finds. */
function foundServers(env: Record<string, string>): unknown {
  const from = (file: string): string => JSON.stringify(join(ROOT, "dist/src", file));
  const program = `import { listPostgres } from ${from("sandbox/find.js")};
    import { findTemporal } from ${from("temporal/binary.js")};
    console.log(JSON.stringify([await findTemporal(), await listPostgres()]));`;
  const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", program], {
    encoding: "utf8",
    env: { ...process.env, ...env },
  });
  assert.equal(stderr, "");
  return JSON.parse(stdout);
}

test("an unknown choice of servers is refused", () => {
  const { status, said } = setUp(["--servers=some"]);
  assert.equal(status, 1);
  assert.match(said, /--servers must be any, all or none/);
});

test("without Python's pip, the set-up says what to install", () => {
  const empty = mkdtempSync(join(tmpdir(), "shardferry-no-python-"));
  try {
    const { status, said } = setUp(["--servers=all"], { PATH: empty, SHARDFERRY_CACHE: empty, PG_BIN: "" });
    assert.equal(status, 1);
    assert.match(said, /there is no Python 3 with pip on PATH/);
  } finally {
    rmSync(empty, { recursive: true });
  }
});

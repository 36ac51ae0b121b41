import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";

import { ACTIONS } from "../../src/cli/actions/index.ts";
import { relativeLinks, ROOT } from "./documents.ts";

const MINUTE = 60_000;
const run = (program: string, args: readonly string[], cwd: string): Promise<{ stdout: string }> =>
  promisify(execFile)(program, args, { cwd, timeout: 8 * MINUTE });

/** A program in TypeScript that does what docs/api.md begins with. */
const CONSUMER = `
import { list, loadSettings, move, type MoveResult, type Outcome, RefusedError, Session } from "shardferry";

const settings = await loadSettings({ action: "move", env: {}, skipConfig: true });
const islands: string[] = (await list(settings)).islands.map(({ island }) => island);
const session = await Session.open(settings, (line: string) => console.log(line));
const watch = await move(session, settings, { shard: 1, to: islands[0]!, activateOnDestination: true });
const outcome: Outcome<MoveResult> = await watch.outcome();
console.log(outcome.kind === "done" ? outcome.result.writeBlockedMs : outcome, RefusedError);
`;

describe("the npm package", () => {
  const folder = mkdtempSync(join(tmpdir(), "shardferry-package-"));
  const unpacked = join(folder, "package");
  let tarball: string;

  before(async () => {
    // Other tests use dist/, which the script before packing would build anew.
    const { stdout } = await run(
      "npm",
      ["pack", "--ignore-scripts", "--json", "--pack-destination", folder],
      ROOT,
    );
    const [{ filename }] = JSON.parse(stdout) as [{ filename: string }];
    tarball = join(folder, filename);
    await run("tar", ["-xzf", tarball], folder);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it("has whatever its documents link to", () => {
    const pages = readdirSync(unpacked, { recursive: true, encoding: "utf8" }).filter((path) =>
      path.endsWith(".md"),
    );
    const links = pages.flatMap((path) => {
      const text = readFileSync(join(unpacked, path), "utf8");
      return relativeLinks(text).map((target) => ({ path, file: target.split("#")[0]! }));
    });
    const dead = links.filter(({ path, file }) => !existsSync(join(unpacked, dirname(path), file)));
    assert.deepEqual(dead, []);
    assert.ok(links.length > 60, `only ${links.length} links found`);
  });

  it("has neither tests nor what only a checkout needs", () => {
    assert.deepEqual(
      readdirSync(unpacked).sort(),
      [".dependency-cruiser.mjs", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md"]
        .concat(["activities", "bin", "contract", "dist", "docs", "package.json", "sql", "src", "workflows"])
        .sort(),
    );
  });

  it("can be installed in an empty folder, and works there under both names, with its SQL and types", async (t) => {
    const user = join(folder, "user");
    mkdirSync(user);
    writeFileSync(join(user, "package.json"), JSON.stringify({ private: true, type: "module" }));
    // Without a registry, its own cache may have everything.
    const answers = await run("npm", ["ping", "--fetch-retries=0", "--fetch-timeout=60000"], user).then(
      () => true,
      () => false,
    );
    const from = answers ? "--prefer-offline" : "--offline";
    try {
      await run("npm", ["install", from, "--no-audit", "--no-fund", tarball], user);
    } catch (error) {
      if (answers || !/ENOTCACHED/.test((error as { stderr: string }).stderr)) throw error;
      return t.skip(
        "NOT TESTED: no npm registry answers, and npm's cache does not have what the package needs",
      );
    }

    const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { version: string };
    assert.equal((await run("npx", ["--no", "--", "shardferry", "--version"], user)).stdout, `${version}\n`);
    const help = (await run("npx", ["--no", "--", "pg-microsharding", "--help"], user)).stdout;
    for (const name of Object.keys(ACTIONS)) assert.match(help, new RegExp(`^  ${name}\\b`, "m"));

    const find = `import.meta.resolve("shardferry/sql/pg-microsharding-up.sql")`;
    const script = `import { readFileSync } from "node:fs"; console.log(readFileSync(new URL(${find}), "utf8"));`;
    const { stdout: sql } = await run(process.execPath, ["--input-type=module", "--eval", script], user);
    const included = [...sql.matchAll(/^\\ir (\S+)$/gm)].map(([, path]) => path!);
    assert.ok(included.length > 20);
    const sqlFolder = join(user, "node_modules/shardferry/sql");
    assert.deepEqual(
      included.filter((path) => !existsSync(join(sqlFolder, path))),
      [],
    );

    // Without skipLibCheck, and with no types but those that the package brings.
    writeFileSync(join(user, "consumer.ts"), CONSUMER);
    const compiler = join(ROOT, "node_modules/typescript/bin/tsc");
    const strict = ["--strict", "--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess", "--noEmit"];
    const target = ["--target", "es2022", "--module", "nodenext"];
    await run(process.execPath, [compiler, ...strict, ...target, "consumer.ts"], user).catch(
      (error: { stdout: string }) => assert.fail(error.stdout),
    );
  });
});

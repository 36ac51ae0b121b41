import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";

import { needed } from "../../src/config/option.ts";
import { PLACES } from "../../src/config/options.ts";
import { loadRequest, loadSettings } from "../../src/config/settings.ts";
import { ALLOCATION } from "../../src/config/shard-options.ts";
import { shardNumber, shardRange, yesOrNo } from "../../src/config/values.ts";
import { UsageError } from "../../src/errors.ts";

let root = "";
let cwd = "";

beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "config-")));
  cwd = join(root, "project", "sub");
  mkdirSync(cwd, { recursive: true });
});
afterEach(() => rmSync(root, { recursive: true }));

const write = (path: string, text: string): void => writeFileSync(join(root, path), text);
const load = (options: Record<string, unknown> = {}, env: NodeJS.ProcessEnv = {}) =>
  loadSettings({ action: "list", options, env, cwd });

describe("settings", () => {
  it("prefer the option to the environment, the environment to the config file, and the config file to the default", async () => {
    assert.equal((await load()).parallelism, 3);
    write("project/shardferry.config.json", '{"PARALLELISM": 5, "MAX_REPLICATION_LAG_SEC": "7"}');
    assert.equal((await load()).parallelism, 5);
    assert.equal((await load({}, { PARALLELISM: "6" })).parallelism, 6);
    assert.equal((await load({ parallelism: "8" }, { PARALLELISM: "6" })).parallelism, 8);
    assert.equal((await load()).maxReplicationLagSec, 7);
  });

  it("say who starts an operation: the user and the host, unless the program names somebody in one line", async () => {
    const by = async (startedBy?: string): Promise<string> => {
      const source = { action: "move", env: {}, cwd, skipConfig: true };
      return (await loadSettings(startedBy === undefined ? source : { ...source, startedBy })).startedBy;
    };
    assert.equal(await by(), `${userInfo().username}@${hostname()}`);
    assert.equal(await by("nightly job of team storage"), "nightly job of team storage");
    for (const wrong of ["", "two\nlines", "x".repeat(201)])
      await assert.rejects(by(wrong), (error: Error) => {
        assert.ok(error instanceof UsageError);
        return error.message.startsWith("startedBy: must ");
      });
  });

  it("take the islands from --dsns, --dsn, DSNS, PGDSNS or PGHOST, in this order", async () => {
    const env: NodeJS.ProcessEnv = {
      PGUSER: "joe",
      PGDATABASE: "d",
      PGHOST: "h1,h2",
      PGDSNS: "p1",
      DSNS: "d1",
    };
    const names = async (options = {}): Promise<string[]> =>
      (await load(options, env)).dsns.map(({ host }) => host);
    assert.deepEqual(await names({ dsns: "o1,o2", dsn: "o3" }), ["o1", "o2"]);
    assert.deepEqual(await names({ dsn: "o3" }), ["o3"]);
    assert.deepEqual(await names(), ["d1"]);
    delete env["DSNS"];
    assert.deepEqual(await names(), ["p1"]);
    env["PGDSNS"] = "";
    assert.deepEqual(await names(), ["h1", "h2"]);
  });

  it("report all problems of options and environment together", async () => {
    const own = { shard: needed(PLACES.shard), activate: needed(ALLOCATION.activate) };
    const source = { action: "x", options: { shard: "x", dsns: "h:y" }, env: { PARALLELISM: "0" }, cwd };
    await assert.rejects(loadRequest(source, own), (error: Error) => {
      assert.ok(error instanceof UsageError);
      assert.deepEqual(
        error.message.split("\n").map((line) => line.split(":")[0]),
        ["PARALLELISM (--parallelism)", "--shard", "--activate", "--dsns"],
      );
      return true;
    });
  });

  it("understand the words for yes and no, numbers and ranges", () => {
    assert.deepEqual(["yes", "TRUE", "1", "on"].map(yesOrNo), [true, true, true, true]);
    assert.deepEqual(["no", "False", "0", "off"].map(yesOrNo), [false, false, false, false]);
    assert.equal(yesOrNo("maybe"), undefined);
    assert.deepEqual(shardRange.parse("3-7"), { first: 3, last: 7 });
    assert.deepEqual(shardRange.parse("3"), { first: 3, last: 3 });
    for (const wrong of ["7-3", "x", "", "1-2-3"])
      assert.equal(shardRange.safeParse(wrong).success, false, wrong);
    for (const wrong of ["-1", "1.5", "", "2147483648"])
      assert.equal(shardNumber.safeParse(wrong).success, false);
  });
});

describe("config files", () => {
  const forms: [string, string][] = [
    [
      "shardferry.config.ts",
      "export default async (action: string): Promise<object> => ({ WEIGHT_SQL: action });",
    ],
    [
      "pg-microsharding.config.ts",
      "export default function (action: string) { return { WEIGHT_SQL: action }; }",
    ],
    ["shardferry.config.mjs", "export default { WEIGHT_SQL: 'list' };"],
    ["shardferry.config.cjs", "module.exports = (action) => ({ WEIGHT_SQL: action });"],
    [
      "pg-microsharding.config.js",
      "exports.__esModule = true; exports.default = () => ({ WEIGHT_SQL: 'list' });",
    ],
    ["shardferry.config.json", '{"WEIGHT_SQL": "list"}'],
  ];
  for (const [name, text] of forms) {
    it(`may be ${name}`, async () => {
      write(`project/${name}`, text);
      const settings = await load();
      assert.equal(settings.weightSql, "list");
      assert.deepEqual(settings.configFiles, [join(root, "project", name)]);
    });
  }

  it("of parent folders give the values that nearer ones leave out", async () => {
    write("shardferry.config.json", '{"PARALLELISM": 4, "MIGRATE_CMD": "far"}');
    write("project/sub/pg-microsharding.config.json", '{"MIGRATE_CMD": "near"}');
    const settings = await load();
    assert.deepEqual([settings.migrateCmd, settings.parallelism], ["near", 4]);
  });

  it("are ignored with --skip-config", async () => {
    write("project/shardferry.config.ts", "throw new Error('loaded');");
    await loadSettings({ action: "list", env: {}, cwd, skipConfig: true });
    await assert.rejects(load(), /shardferry\.config\.ts: loaded/);
  });

  it("that are faulty are named with the cause", async () => {
    let number = 0;
    for (const [text, cause] of [
      [
        "export default () => { throw new Error('no cluster at postgres://u:secret@h'); };",
        /no cluster at postgres:\/\/u:\*\*\*@h/,
      ],
      ["export default 5;", /must export an object/],
      ["export default { PGPORT: { a: 1 } };", /the value of PGPORT/],
      ["export default {{;", /./],
    ] as const) {
      // Each in its own folder, because a module is loaded only once.
      cwd = join(root, `wrong-${number++}`);
      mkdirSync(cwd);
      const file = join(cwd, "shardferry.config.ts");
      writeFileSync(file, text);
      await assert.rejects(load(), (error: Error) => {
        assert.ok(
          error instanceof UsageError && error.message.startsWith(`Config file ${file}: `),
          error.message,
        );
        assert.match(error.message, cause);
        return true;
      });
    }
  });

  it("may give lists, numbers and undefined, as a file derived from an application's cluster does", async () => {
    write(
      "project/pg-microsharding.config.ts",
      "export default { PGDSNS: ['h1', 'h2'], PGPORT: 6432, PGUSER: 'joe', PGDATABASE: 'app', PGSSLMODE: undefined };",
    );
    const names = (await load()).dsns.map(({ name }) => name);
    assert.deepEqual(names, ["h1:6432/app", "h2:6432/app"]);
  });
});

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

import { STEPS } from "../../contract/move.ts";
import { ACTIONS } from "../../src/cli/actions/index.ts";
import { readGrammar } from "../../src/cli/completion/grammar.ts";
import type { Option } from "../../src/config/option.ts";
import { ISLANDS, SETTINGS as OPTIONS } from "../../src/config/options.ts";
import { EXIT } from "../../src/errors.ts";
import { LIBPQ_VARIABLES } from "../../src/postgres/islands/libpq-keywords.ts";
import { codeBlocks, documents, inlineCode, listFiles, readDocument, ROOT, section } from "./documents.ts";

const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");
const COMMANDS = readDocument("docs/commands.md");
const MOVES = readDocument("docs/moves.md");
const SETTINGS = readDocument("docs/settings.md");
const OPERATIONS = readDocument("docs/operations.md");

/** Returns the code spans in the first cells of a table's rows. */
const firstCells = (text: string): string[] =>
  [...text.matchAll(/^\| ([^|]*`[^|]*) \|/gm)].flatMap(([, cell]) => inlineCode(cell!));

test("every environment variable in the documents is one that the code reads", () => {
  const code = [
    ...listFiles(
      [".ts", ".mjs", ".sql"],
      "src",
      "activities",
      "workflows",
      "scripts",
      "sql",
      "bench",
      "test",
    ),
    ...["docker-compose.yml", "Dockerfile", "package.json"],
    ...["envconfig-toml.js", "envconfig.js"].map((file) => `node_modules/@temporalio/envconfig/lib/${file}`),
  ]
    .filter((path) => !path.startsWith("test/docs/"))
    .map(read)
    .join("\n");
  const unknown: string[] = [];
  let checked = 0;
  for (const { path, text } of documents()) {
    const prose = text.replace(/^```(sql|ts)\n[^]*?^```$/gm, "");
    for (const [name] of prose.matchAll(
      /\b(PG(?!DG)[A-Z]{2,}[A-Z_]*|[A-Z][A-Z0-9]*_[A-Z0-9_]*[A-Z0-9])\b/g,
    )) {
      checked++;
      if (!code.includes(name)) unknown.push(`${path}: ${name}`);
    }
  }
  assert.deepEqual(unknown, []);
  assert.ok(checked > 50);
});

test("the settings page has every environment variable that the program reads", () => {
  const source = listFiles([".ts"], "src").map(read).join("\n");
  const inCode = [...source.matchAll(/\benv(?:\["([A-Z_]+)"\]|\.([A-Z_]+)\b)/g)].map(([, a, b]) => a ?? b!);
  const ofOptions = Object.values<Option>({ ...ISLANDS, ...OPTIONS }).flatMap(
    ({ variables = [] }) => variables,
  );
  // Variables of the operating system have their usual meaning.
  const usual = new Set(["HOME", "PATH", "TMPDIR", "LANG"]);
  const wanted = new Set([...inCode, ...ofOptions, ...LIBPQ_VARIABLES]);
  const missing = [...wanted].filter((name) => !usual.has(name) && !SETTINGS.text.includes(name));
  assert.deepEqual(missing, []);
  assert.ok(wanted.has("PARALLELISM") && wanted.has("SHARDFERRY_STATE_DIR"));
});

test("every option in the documents is one of an action", async () => {
  const known = new Set(["--help", "--version"]);
  for (const { options } of await readGrammar(ACTIONS)) for (const { flag } of options) known.add(flag);
  const unknown = documents().flatMap(({ path, text }) =>
    inlineCode(text)
      .map((code) => /^--[a-z-]+/.exec(code)?.[0])
      .filter((option) => option !== undefined && !known.has(option))
      .map((option) => `${path}: ${option}`),
  );
  assert.deepEqual(unknown, []);
});

test("every npm script in the documents exists", () => {
  const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
  const unknown = documents().flatMap(({ path, text }) =>
    [...text.matchAll(/\bnpm (?:run ([\w:]+)|(test)\b)/g)]
      .map(([, name, test]) => name ?? test!)
      .filter((name) => !(name in scripts))
      .map((name) => `${path}: npm run ${name}`),
  );
  assert.deepEqual(unknown, []);
});

test("the table of actions has every action in the order of the help, and no other", () => {
  const named = firstCells(section(COMMANDS, "Actions"));
  assert.deepEqual(
    named,
    Object.entries(ACTIONS).flatMap(([name, { aliases = [] }]) => [name, ...aliases]),
  );
});

test("the documented steps of a move are those of the contract", () => {
  const rows = [...section(MOVES, "The steps").matchAll(/^\| ([a-z][a-z ]+) \| /gm)].map(([, step]) => step!);
  assert.deepEqual(
    rows.filter((step) => step !== "step"),
    [...STEPS],
  );
});

test("the exit codes are those of the program", () => {
  const rows = [...section(OPERATIONS, "Exit codes").matchAll(/^\| (\d+) \|/gm)].map(([, code]) =>
    Number(code),
  );
  assert.deepEqual(rows, Object.values(EXIT));
});

test("every error code in the documents is one of the program", () => {
  const source = listFiles([".ts"], "src", "activities", "workflows").map(read).join("\n");
  const codes = firstCells(section(OPERATIONS, "Codes of errors"));
  assert.deepEqual(
    codes.filter((code) => !source.includes(`"${code}"`)),
    [],
  );
  assert.ok(codes.length > 20);
});

test("files and folders of the code that the documents mention exist", () => {
  const tree = codeBlocks(readDocument("docs/architecture.md").text, "text")[0]!;
  const folders = tree.split("\n").map((line) => line.split(/\s{2,}/)[0]!);
  for (const folder of folders.filter(Boolean)) {
    if (folder.endsWith("/"))
      assert.ok(listFiles([""], folder).length > 0, `${folder} is empty or does not exist`);
    else assert.ok(read(folder).length > 0);
  }
});

test("the tree of folders is in the order of the floors that the linter keeps", async () => {
  const path = pathToFileURL(join(ROOT, ".dependency-cruiser.mjs")).href;
  const { default: config } = (await import(path)) as {
    default: { forbidden: { name: string; from: { path?: string[] } }[] };
  };
  const floors = config.forbidden
    .filter(({ name }) => name.startsWith("floor-of-"))
    .map(({ from }) => from.path!);
  // A folder stands for its files. The roof has no rule.
  const floorOf = (place: string): number =>
    floors.findIndex((rooms) =>
      rooms.some((room) => new RegExp(room).test(place.replace(/\/$/, "/file.ts"))),
    );
  const tree = codeBlocks(readDocument("docs/architecture.md").text, "text")[0]!;
  const groups = tree.split("\n\n").map((group) => group.trim().split("\n"));
  const found = groups.map((lines) => [...new Set(lines.map((line) => floorOf(line.split(/\s{2,}/)[0]!)))]);
  assert.deepEqual(
    found,
    [-1, ...floors.keys()].map((floor) => [floor]),
  );
});

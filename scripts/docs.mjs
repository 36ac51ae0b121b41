// Regenerates the parts of the documents that come from the program, the SQL files and the benchmark.
//
//   node scripts/docs.mjs           writes them
//   node scripts/docs.mjs --check   only reports which are out of date; status 1 if there are any
//
// Each part is between <!-- name:begin --> and <!-- name:end -->. The program is taken from dist/.
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

import { isMain, listFiles, main, readIfThere, ROOT, say, SetupError } from "./project.mjs";

const BENCHMARKS = "docs/benchmarks.md";
/** The sections of the benchmark that the README shows. */
const HEADLINES = ["A whole move", "The switch under load", "Small moves", "Many small tables"];

/** For each document, the function that fills its parts, by the name in the marker. */
const DOCUMENTS = {
  "README.md": (name) => (name === "figures" ? figures() : undefined),
  "docs/commands.md": (name) => (name === "usage" ? usage() : undefined),
  "docs/sql-api.md": (name, text) => (name === "helpers" ? helpers(text) : functions().get(name)?.full),
};

/** Replaces the generated parts of a document. */
async function regenerate(file, fill) {
  const text = readFileSync(join(ROOT, file), "utf8");
  let result = text;
  for (const [part, name] of text.matchAll(/<!-- (\w+):begin -->[^]*?<!-- \1:end -->/g)) {
    const content = await fill(name, text);
    if (content === undefined) throw new SetupError(`${file}: unknown part "${name}".`);
    const filled = `<!-- ${name}:begin -->\n\n${content}\n\n<!-- ${name}:end -->`;
    result = result.replace(part, () => filled);
  }
  return { text, result };
}

/** Returns the output of `--help`: the overview, and a section for each action. */
async function usage() {
  const { ACTIONS } = await import(pathToFileURL(join(ROOT, "dist/src/cli/actions/index.js")).href);
  const actions = Object.keys(ACTIONS).map((name) => `### shardferry ${name}\n\n${fenced(help(name))}`);
  return [fenced(help()), ...actions].join("\n\n");
}

function help(...action) {
  const args = [join(ROOT, "bin/shardferry"), ...action, "--help"];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  if (status !== 0) throw new SetupError(`shardferry ${action.join(" ")} --help failed: ${stderr}`);
  return stdout;
}

const fenced = (text) => `\`\`\`text\n${text.trim()}\n\`\`\``;

/** Returns the headlines of docs/benchmarks.md, or a note that nothing has been measured yet. */
function figures() {
  const measured = /<!-- bench:begin -->([^]*?)<!-- bench:end -->/.exec(
    readIfThere(join(ROOT, BENCHMARKS)) ?? "",
  );
  const [machine = "", ...sections] = (measured?.[1] ?? "").split(/^### /m).map((part) => part.trim());
  const found = HEADLINES.map((title) => sections.find((section) => section.startsWith(`${title}\n`)));
  const shown = found.filter((section) => section !== undefined).map(headline);
  if (shown.length === 0) return "Not measured yet: `npm run bench -- --write` does it.";
  return [machine, ...shown, `More in [${BENCHMARKS}](${BENCHMARKS}).`].join("\n\n");
}

/** Returns the title, text and table of a section, without the notes below the table. */
function headline(section) {
  const [title, ...rest] = section.split("\n\n");
  const table = rest.findIndex((paragraph) => paragraph.startsWith("|"));
  return [`**${title}.** ${rest[0]}`, ...rest.slice(1, table + 1)].join("\n\n");
}

let described;

/** Returns every function of the SQL API by name, as described in its file. */
function functions() {
  return (described ??= new Map(
    listFiles("sql/functions")
      .sort()
      .map((file) => [basename(file, ".sql"), describe(file)]),
  ));
}

function describe(file) {
  const sql = readFileSync(join(ROOT, file), "utf8");
  const [, name, parameters, result] =
    /CREATE OR REPLACE FUNCTION (\w+)\(([^]*?)\)\s+RETURNS ([^]*?)\s+LANGUAGE/.exec(sql) ?? [];
  const [, literals] = /COMMENT ON FUNCTION \w+\([^)]*\)\s+IS ((?:\s*'(?:[^']|'')*')+);/.exec(sql) ?? [];
  if (!name || !literals) throw new SetupError(`${file}: no signature, or no comment.`);
  const signature = `${name}(${oneLine(parameters)}) → ${oneLine(result)}`;
  const comment = [...literals.matchAll(/'((?:[^']|'')*)'/g)]
    .map(([, text]) => text.replaceAll("''", "'"))
    .join("");
  // Outside of code, <table> would be taken for HTML.
  const prose = comment.replaceAll("<", "&lt;");
  return { signature, prose, full: `\`${signature}\`\n\n${prose}` };
}

const oneLine = (text) =>
  text
    .replace(/\s+/g, " ")
    .replace(/([[(]) | ([\])])/g, "$1$2")
    .trim();

/** Returns a table of the functions that have no section of their own. */
function helpers(text) {
  const rest = [...functions()].filter(([name]) => !text.includes(`<!-- ${name}:begin -->`));
  const rows = rest.map(
    ([, { signature, prose }]) => `| \`${signature}\` | ${prose.replaceAll("|", "\\|")} |`,
  );
  return ["| function | what it does |", "| --- | --- |", ...rows].join("\n");
}

if (isMain(import.meta.url)) {
  await main(async () => {
    const { values } = parseArgs({ options: { check: { type: "boolean" } } });
    for (const [file, fill] of Object.entries(DOCUMENTS)) {
      const { text, result } = await regenerate(file, fill);
      if (text === result) continue;
      if (values.check) process.exitCode = 1;
      else writeFileSync(join(ROOT, file), result);
      say(values.check ? `${file} is out of date: run \`npm run docs\`` : `${file} has been updated`);
    }
  });
}

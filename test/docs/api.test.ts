import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";

import ts from "typescript";

import { expectNoLeftovers } from "../support/index.ts";
import { codeBlocks, readDocument, ROOT } from "./documents.ts";
import { activePlaces, openStage } from "./examples.ts";

const EXAMPLES = codeBlocks(readDocument("docs/api.md").text, "ts");
const LIBRARY = join(ROOT, "src/index.ts");

/** Type-checks sources that are not in files, as if they were beside the library. */
function typeErrors(sources: readonly string[]): string[] {
  const { config } = ts.readConfigFile(join(ROOT, "tsconfig.json"), (path) => ts.sys.readFile(path)) as {
    config: object;
  };
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, ROOT);
  const files = new Map(
    sources.map((text, i) => [
      join(ROOT, `src/example-${i}.ts`),
      text.replace(`"shardferry"`, `"./index.ts"`),
    ]),
  );
  const host = ts.createCompilerHost(options);
  const { readFile, fileExists } = host;
  host.readFile = (path) => files.get(path) ?? readFile(path);
  host.fileExists = (path) => files.has(path) || fileExists(path);
  const getSourceFile = host.getSourceFile.bind(host);
  host.getSourceFile = (path, version, ...rest) => {
    const text = files.get(path);
    return text === undefined
      ? getSourceFile(path, version, ...rest)
      : ts.createSourceFile(path, text, version);
  };
  const program = ts.createProgram([...files.keys()], options, host);
  return [...files.keys()]
    .flatMap((path) => program.getSemanticDiagnostics(program.getSourceFile(path)))
    .map(({ messageText, file }) => `${file?.text}\n${ts.flattenDiagnosticMessageText(messageText, "\n")}`);
}

test("the examples of the TypeScript API have no type errors", () => {
  assert.ok(EXAMPLES.length > 8);
  const wrong = 'import { move } from "shardferry";\nawait move(1);';
  const errors = typeErrors([...EXAMPLES, wrong]);
  // Exactly the one expected error: the check works.
  assert.deepEqual(
    errors.map((error) => error.split("\nExpected")[0]),
    [wrong.replace("shardferry", "./index.ts")],
  );
});

test("the examples of the TypeScript API run one after another", async () => {
  const stage = await openStage();
  const { source, destination, folder } = stage;
  const env = { ...stage.env, DSNS: `${source.dsn},${destination.dsn}` };
  const files = EXAMPLES.map((example, i) => {
    const file = join(folder, `example-${i}.mts`);
    writeFileSync(file, example.replace(`"shardferry"`, JSON.stringify(pathToFileURL(LIBRARY).href)));
    return file;
  });
  const all = join(folder, "all.mts");
  writeFileSync(all, files.map((file) => `await import(${JSON.stringify(file)});\n`).join(""));
  // From the project's folder, where tsx can be found.
  await promisify(execFile)(process.execPath, ["--import", "tsx", all], { cwd: ROOT, env });
  assert.deepEqual(await activePlaces(stage, "sh0011"), [destination.name]);
  assert.deepEqual(await activePlaces(stage, "sh0012"), [source.name]);
  const copies = await destination.rows("SELECT FROM pg_namespace WHERE nspname = 'sh0012'");
  assert.equal(copies.length, 1);
  await expectNoLeftovers(source, destination);
});

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { it } from "node:test";
import { fileURLToPath } from "node:url";

import * as workflows from "../../workflows/index.ts";
import { beginOf, readHistory, recorded } from "../histories/history-file.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const PRODUCT = ["contract", "workflows", "activities", "src"];

/** The TypeScript files in some folders, with their paths from the root. */
const filesOf = (...folders: string[]): string[] =>
  folders.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .map((name) => `${folder}/${name}`),
  );

it("no file is a drawer, named by nothing that it gives", () => {
  const drawers = /^(support|helpers?|utils?|common|misc)\.ts$/;
  assert.deepEqual(
    filesOf(...PRODUCT, "test", "bench").filter((file) => drawers.test(basename(file))),
    [],
  );
});

it("at most seven files lie flat in src/postgres", () => {
  const flat = readdirSync(join(ROOT, "src/postgres"), { withFileTypes: true }).filter((one) => one.isFile());
  assert.ok(flat.length <= 7, flat.map(({ name }) => name).join(" "));
});

it("only src/postgres/api knows the names of the SQL API", () => {
  const knowing = filesOf(...PRODUCT).filter((file) =>
    readFileSync(join(ROOT, file), "utf8").includes("microsharding_"),
  );
  assert.deepEqual(
    knowing.filter((file) => !file.startsWith("src/postgres/api/")),
    [],
  );
});

it("every workflow has a recorded history", () => {
  const types = new Set(recorded().map((name) => beginOf(readHistory(name)).type));
  assert.deepEqual([...types].sort(), Object.keys(workflows).sort());
});

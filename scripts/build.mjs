// Compiles the sources into dist/ and bundles the workflows, when they have changed.
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import {
  contentFingerprint,
  fingerprint,
  isMain,
  listFiles,
  main,
  readIfThere,
  ROOT,
  run,
  say,
} from "./project.mjs";

const DIST = join(ROOT, "dist");
const SOURCES = [
  "contract",
  "workflows",
  "activities",
  "src",
  "tsconfig.json",
  "tsconfig.build.json",
  "package-lock.json",
];
/** What dist/ was built from; a first line for the names and a second one for the state of the files. */
const STAMP = join(DIST, ".built-from");
/** The command line with what it needs in a few files; beside the other folders, whose depth their paths rely on. */
const COMMAND = join(DIST, "src", "bundle");
/** What a worker loads: native code, and modules that have to be the same for it and for the activities. */
const NOT_BUNDLED = ["@temporalio/worker", "@temporalio/activity", "jiti", "libpg-query", "pg-native"];
const BUNDLE = join(DIST, "workflow-bundle.js");
const BUNDLE_STAMP = join(DIST, ".bundled-from");

/** Whether dist/ is older than the sources. */
export function needsBuild() {
  return readIfThere(STAMP) !== currentStamp();
}

/** Brings dist/ up to date. */
export async function build({ clean = false } = {}) {
  const stamp = currentStamp();
  // The compiler never removes the output of a source that is gone.
  const [names] = (readIfThere(STAMP) ?? "").split("\n");
  if (clean || names !== stamp.split("\n")[0]) rmSync(DIST, { recursive: true, force: true });
  mkdirSync(DIST, { recursive: true });
  await run(process.execPath, [join(ROOT, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.build.json"]);
  await Promise.all([bundleCommand(), bundleWorkflows()]);
  writeFileSync(STAMP, stamp);
}

function currentStamp() {
  const files = listFiles(...SOURCES).sort();
  return `${files.join(" ")}\n${fingerprint(files)}\n`;
}

/** Finding and loading some 900 small files was most of the time of a short command: 0.45 s of processor, now 0.30. */
async function bundleCommand() {
  const { build: bundle } = await import("esbuild");
  rmSync(COMMAND, { recursive: true, force: true });
  await bundle({
    entryPoints: [join(DIST, "src", "cli", "main.js")],
    outdir: COMMAND,
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node20",
    external: NOT_BUNDLED,
    // node-postgres asks it whether this is Cloudflare; Node 20 loads an HTTP client of 20 ms for the answer.
    define: { Response: "undefined" },
    // The packages in the bundle that are CommonJS call it.
    banner: {
      js: 'import { createRequire } from "node:module";\nconst require = createRequire(import.meta.url);',
    },
    logLevel: "warning",
  });
}

/** Bundling takes seconds: the worker is given the result, and it is done again only when the code is another. */
async function bundleWorkflows() {
  const entry = join(DIST, "workflows", "index.js");
  if (!existsSync(entry)) return;
  const files = listFiles("dist/workflows", "package-lock.json").filter((file) => /\.js(on)?$/.test(file));
  const stamp = contentFingerprint(files);
  if (existsSync(BUNDLE) && readIfThere(BUNDLE_STAMP) === stamp) return;
  const { bundleWorkflowCode, DefaultLogger } = await import("@temporalio/worker");
  const { code } = await bundleWorkflowCode({ workflowsPath: entry, logger: new DefaultLogger("WARN") });
  writeFileSync(`${BUNDLE}.${process.pid}`, code);
  renameSync(`${BUNDLE}.${process.pid}`, BUNDLE);
  writeFileSync(BUNDLE_STAMP, stamp);
}

if (isMain(import.meta.url)) {
  await main(async () => {
    say("Building dist/");
    await build({ clean: process.argv.includes("--clean") });
  });
}

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
/** What dist/ was built from: the first line has the names of the files, the second one their state. */
const STAMP = join(DIST, ".built-from");
/** The command line, bundled into a few files; beside the other folders, because paths depend on the depth. */
const COMMAND = join(DIST, "src", "bundle");
/** Loaded by a worker: native code, and modules that it has to share with the activities. */
const NOT_BUNDLED = ["@temporalio/worker", "@temporalio/activity", "jiti", "libpg-query", "pg-native"];
/** The types of the package, without those of Temporal and node-postgres, which would not compile for its users. */
const TYPES = join(DIST, "shardferry.d.ts");
const BUNDLE = join(DIST, "workflow-bundle.js");
const BUNDLE_STAMP = join(DIST, ".bundled-from");

/** Returns whether dist/ is out of date. */
export function needsBuild() {
  return readIfThere(STAMP) !== currentStamp();
}

/** Brings dist/ up to date. */
export async function build({ clean = false } = {}) {
  const stamp = currentStamp();
  // The compiler never removes the output of deleted sources.
  const [names] = (readIfThere(STAMP) ?? "").split("\n");
  if (clean || names !== stamp.split("\n")[0]) rmSync(DIST, { recursive: true, force: true });
  mkdirSync(DIST, { recursive: true });
  await run(process.execPath, [join(ROOT, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.build.json"]);
  await Promise.all([bundleCommand(), bundleTypes(), bundleWorkflows()]);
  writeFileSync(STAMP, stamp);
}

function currentStamp() {
  const files = listFiles(...SOURCES).sort();
  return `${files.join(" ")}\n${fingerprint(files)}\n`;
}

/** A short command spent most of its time loading some 900 small files: 0.45 s of processor time, now 0.30 s. */
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
    // node-postgres uses it to detect Cloudflare; in Node.js 20, that would load an HTTP client, which takes 20 ms.
    define: { Response: "undefined" },
    // Called by the CommonJS packages in the bundle.
    banner: {
      js: 'import { createRequire } from "node:module";\nconst require = createRequire(import.meta.url);',
    },
    logLevel: "warning",
  });
}

/** Leaves out whatever the exports of the package do not mention. */
async function bundleTypes() {
  const [{ rollup }, { dts }] = await Promise.all([import("rollup"), import("rollup-plugin-dts")]);
  const types = await rollup({
    input: join(DIST, "src", "index.d.ts"),
    external: [/^[^./]/],
    plugins: [dts({ tsconfig: false })],
  });
  await types.write({ file: TYPES });
}

/** Bundling takes seconds, so the worker uses this bundle, which is made again only when the code has changed. */
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

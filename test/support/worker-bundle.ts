import { mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** The environment variable with the file that the runner has built for all test files. */
export const WORKER_VARIABLE = "SHARDFERRY_TEST_WORKER";

let made: Promise<string> | undefined;

/** Bundles the code of the tests' workers into one file: through tsx, each of them would take twice as long to load it. */
export async function bundleWorker(): Promise<string> {
  return process.env[WORKER_VARIABLE] ?? (made ??= bundle());
}

async function bundle(): Promise<string> {
  const { build, stop } = await import("esbuild");
  // In the checkout, where packages are found, and as deep as the sources, which find sql/ from there.
  const folder = join(ROOT, ".cache", "test");
  const file = join(folder, "worker.mjs");
  const fresh = `${file}.${process.pid}`;
  mkdirSync(folder, { recursive: true });
  await build({
    entryPoints: [join(ROOT, "test/support/worker-process.ts")],
    outfile: fresh,
    bundle: true,
    packages: "external",
    format: "esm",
    platform: "node",
    target: "node20",
    logLevel: "warning",
  });
  // Otherwise its process would stay until ours ends.
  await stop();
  renameSync(fresh, file);
  return file;
}

import { mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** Names the file that the runner has made for all test files. */
export const WORKER_VARIABLE = "SHARDFERRY_TEST_WORKER";

let made: Promise<string> | undefined;

/** The code of the tests' workers in one file: through tsx, each of them would take twice the time to load it. */
export async function bundleWorker(): Promise<string> {
  return process.env[WORKER_VARIABLE] ?? (made ??= bundle());
}

async function bundle(): Promise<string> {
  const { build, stop } = await import("esbuild");
  // In the checkout, where the packages are found, and as deep as the sources, which look for sql/ from there.
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
  // Else its process would stay until ours ends.
  await stop();
  renameSync(fresh, file);
  return file;
}

/**
 * Runs the tests: `npm test`, `npm test -- test/sandbox`, `npm test -- move --test-name-pattern=keeps`.
 * It starts the servers that test files share, runs a few files at a time, and leaves nothing running.
 */
import { setMaxListeners } from "node:events";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join, relative, sep } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { closeSandbox, listPostgres, MAJORS, sweep, temporaryFolder } from "../src/sandbox/index.ts";
import { describeShared, SERVERS_VARIABLE, startShared } from "./support/servers.ts";
import { endStrays, RUN_VARIABLE } from "./support/strays.ts";
import { bundleWorker, WORKER_VARIABLE } from "./support/worker-bundle.ts";
import { bundleWorkflows } from "./support/workflow-bundle.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const MINUTE = 60_000;
/**
 * For two cores. A third file leaves 5 % of them idle and saves a few minutes, but then about one in a thousand tests
 * finds a server too slow.
 */
const FILES_AT_A_TIME = 2;
/** Folders with files that take a minute or more: started first, so that none of them is left for last. */
const LONG = ["faults", "rebalance", "migrate", "move", "cli"];
const LIMITS = {
  test: { all: 45 * MINUTE, file: 20 * MINUTE },
  soak: { all: 240 * MINUTE, file: 240 * MINUTE },
};
/** Names a file for `{"passed":…,"failed":…}`, for the caller. */
const SUMMARY_VARIABLE = "SHARDFERRY_TEST_SUMMARY";

/** Aborted by the signal that tells us to end. */
const stopping = new AbortController();

interface Counts {
  passed: number;
  failed: number;
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { soak: { type: "boolean" }, "test-name-pattern": { type: "string", multiple: true } },
  });
  const kind = values.soak ? "soak" : "test";
  const files = findFiles(kind, positionals);
  if (files.length === 0) throw new Error(`No test file fits ${positionals.join(" ")}`);

  isolateFromUser();
  await nameMissingVersions();
  const stateFolder = mkdtempSync(join(tmpdir(), "shardferry-test-state-"));
  process.env["SHARDFERRY_STATE_DIR"] = stateFolder;
  process.env[RUN_VARIABLE] = String(process.pid);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.once(signal, () => void stop(signal, stateFolder));
  process.env[SERVERS_VARIABLE] = describeShared(await startShared());
  // What many files need is created once.
  process.env[WORKER_VARIABLE] = await bundleWorker();
  await bundleWorkflows();
  const counts = await unlessStopped(runFiles(kind, files, values["test-name-pattern"]));
  counts.failed += await stopEverything();
  rmSync(stateFolder, { recursive: true, force: true });

  const summary = process.env[SUMMARY_VARIABLE];
  if (summary) writeFileSync(summary, JSON.stringify(counts));
  process.exitCode = counts.failed > 0 ? 1 : 0;
}

/** The settings of whoever runs the tests must reach neither the tests nor what they start. */
function isolateFromUser(): void {
  const settings = /^(PG(?!_BIN$)|TEMPORAL_|SHARDFERRY_(?!CACHE$|TEMPORAL$|TEST_))/;
  const options =
    /^(DSNS|MIGRATE_CMD|WEIGHT_SQL|DEACTIVATE_SQL|PARALLELISM|MAX_REPLICATION_LAG_SEC|SCHEMA_NAME_FMT)$/;
  for (const name of Object.keys(process.env)) {
    if (settings.test(name) || options.test(name)) delete process.env[name];
  }
  process.env["TMPDIR"] = temporaryFolder();
}

/** Says aloud which versions are not tested here. */
async function nameMissingVersions(): Promise<void> {
  const found = (await listPostgres()).map(({ major }) => major);
  for (const major of MAJORS.filter((one) => !found.includes(one)))
    process.stdout.write(
      `SKIPPED: PostgreSQL ${major} is not on this machine, so nothing is tested with it\n`,
    );
}

/** Lists the test files whose path contains one of the filters; Node 20 itself accepts no patterns. */
function findFiles(kind: "test" | "soak", filters: string[]): string[] {
  return readdirSync(join(ROOT, "test"), { recursive: true, encoding: "utf8" })
    .map((file) => join("test", file))
    .filter((file) => file.endsWith(`.${kind}.ts`))
    .filter((file) => filters.length === 0 || filters.some((filter) => file.includes(normalize(filter))))
    .sort((a, b) => placeOf(a) - placeOf(b) || a.localeCompare(b))
    .map((file) => join(ROOT, file));
}

/** A folder's place in the order in which files start. */
function placeOf(file: string): number {
  const place = LONG.indexOf(file.split(sep)[1]!);
  return place < 0 ? LONG.length : place;
}

const normalize = (filter: string): string => relative(ROOT, join(ROOT, filter.replace(ROOT, "")));

/** Runs the files, shows node's own report, and returns its totals. */
async function runFiles(kind: "test" | "soak", files: string[], names: string[] = []): Promise<Counts> {
  const counts: Counts = { passed: 0, failed: 0 };
  const over = AbortSignal.any([AbortSignal.timeout(LIMITS[kind].all), stopping.signal]);
  // One listener per file.
  setMaxListeners(0, over);
  const tests = run({
    files,
    concurrency: FILES_AT_A_TIME,
    timeout: LIMITS[kind].file,
    signal: over,
    testNamePatterns: names.length > 0 ? names : undefined,
  });
  tests.on("test:diagnostic", ({ nesting, message }) => {
    const [, what, count] = /^(pass|fail|cancelled) (\d+)$/.exec(message) ?? [];
    if (nesting > 0 || !what) return;
    if (what === "pass") counts.passed += Number(count);
    else counts.failed += Number(count);
  });
  const report = tests.compose(new spec()) as AsyncIterable<string>;
  for await (const text of report) process.stdout.write(text);
  return counts;
}

/** Ends the test files, what they have started, and the servers, and then this process. */
async function stop(signal: NodeJS.Signals, stateFolder: string): Promise<void> {
  // No more files are started.
  stopping.abort();
  await endStrays();
  await sweep();
  await closeSandbox();
  rmSync(stateFolder, { recursive: true, force: true });
  process.exit(128 + constants.signals[signal]);
}

/** Leaves ending to `stop` if that is in progress. */
async function unlessStopped<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } finally {
    if (stopping.signal.aborted) await new Promise(() => undefined);
  }
}

/** Stops all servers; a process that a test left behind counts as a failure. */
async function stopEverything(): Promise<number> {
  const strays = await endStrays();
  for (const stray of strays) process.stderr.write(`A test left this process running: ${stray}\n`);
  await sweep();
  await closeSandbox();
  return strays.length;
}

await main();

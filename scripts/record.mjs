// Records the live view of a move for the README: two servers, an application that writes, `shardferry move`.
//
//   npm run docs:picture            writes docs/pictures/move.svg
//
// The picture shows what the program wrote in this run. Only the names of the islands and of the log file are replaced.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";

import { isMain, main, ROOT, say, SetupError } from "./project.mjs";
import { drawRecording } from "./terminal-picture.mjs";

const PICTURE = "docs/pictures/move.svg";
const SIZE = { columns: 112, rows: 20 };
const DATABASE = "shop";
/** How much data: this times about 200 MB. */
const SCALE = 2;
/** How long the application writes before the move starts. */
const BEFORE_MS = 1500;

/** Where the log of an ordinary user would be. */
const LOG_FOLDER = "/tmp/shardferry.1000/";

const fromDist = (path) => import(pathToFileURL(join(ROOT, "dist/src", path)).href);

/** Runs a move under load. Returns what it wrote and when, with the names replaced. */
async function record() {
  const [{ startPostgres, startTemporal }, { install }, { openShop, payments, SHARD }] = await Promise.all([
    fromDist("sandbox/index.js"),
    fromDist("postgres/api/install.js"),
    fromDist("demo/shop.js"),
  ]);
  const [{ Application }, { startWorker }, { parseDsn }] = await Promise.all([
    fromDist("sandbox/application.js"),
    fromDist("sandbox/commands.js"),
    fromDist("postgres/islands/dsn.js"),
  ]);
  const [a, b, temporal] = await Promise.all([startPostgres(), startPostgres(), startTemporal()]);
  for (const server of [a, b]) {
    await server.withClient((client) => client.query(`CREATE DATABASE ${DATABASE}`));
    await server.withClient((client) => install(client), DATABASE);
  }
  await a.withClient((client) => openShop(client, SCALE), DATABASE);
  const dsns = [a, b].map((server) => server.dsn(DATABASE));
  const worker = await startWorker({ dsns, temporalAddress: temporal.address });
  const application = new Application(payments(dsns));
  await application.start();
  await sleep(BEFORE_MS);
  application.look();
  const [from, to] = dsns.map((dsn) => parseDsn(dsn).name);
  const args = ["move", `--shard=${SHARD}`, `--to=${to}`, "--activate-on-destination=yes"];
  const recording = await runInTerminal(args, { DSNS: dsns.join(), TEMPORAL_ADDRESS: temporal.address });
  const { longestGapMs } = application.look();
  const { acknowledged, lost, doubled, failures } = await application.stop();
  await worker.end("SIGTERM");
  const balance = `${acknowledged} writes acknowledged to the application: ${lost} lost, ${doubled} doubled, ${failures.length} failed`;
  const pause = `longest time without one during the move: ${Math.round(longestGapMs)} ms`;
  const start = recording[0].at - 1000;
  const end = recording.at(-1).at + 600;
  return [
    { at: start, text: `\x1b[32m$\x1b[39m shardferry ${args.join(" ")}\n` },
    ...recording,
    { at: end, text: `\n\x1b[2m# ${balance}\n# ${pause}\x1b[22m\n` },
  ].map(({ at, text }) => ({ at, text: withReadersNames(text, from, to) }));
}

/** Runs a command. Returns what it wrote to its terminal, and when. */
async function runInTerminal(args, settings) {
  const preload = pathToFileURL(join(ROOT, "scripts/pretend-terminal.mjs")).href;
  const { PATH, TMPDIR, HOME } = process.env;
  const child = spawn(
    process.execPath,
    ["--import", preload, join(ROOT, "bin/shardferry"), ...args, "--skip-config"],
    {
      env: { PATH, TMPDIR, HOME, TERM: "xterm", COLUMNS: SIZE.columns, LINES: SIZE.rows, ...settings },
      stdio: ["pipe", "pipe", "inherit"],
    },
  );
  const recording = [];
  child.stdout.setEncoding("utf8");
  child.stdout.on("data", (text) => recording.push({ at: performance.now(), text }));
  const [status] = await once(child, "close");
  if (status !== 0) throw new SetupError(`The move failed: ${recording.map(({ text }) => text).join("")}`);
  return recording;
}

/** Replaces ports and folders of this machine, which mean nothing to a reader. */
const withReadersNames = (text, from, to) =>
  text
    .replaceAll(from, "db1.internal/shop")
    .replaceAll(to, "db2.internal/shop")
    .replaceAll(from.split("/")[0], "db1.internal")
    .replaceAll(to.split("/")[0], "db2.internal")
    .replace(/\S*\/shardferry\.\d+\//g, (path) => path.replace(/\/[^]*/, LOG_FOLDER));

if (isMain(import.meta.url)) {
  await main(async () => {
    const { closeSandbox } = await fromDist("sandbox/index.js");
    try {
      const title = "shardferry move: a shard goes to another server while an application writes to it";
      const svg = await drawRecording(await record(), { ...SIZE, title, lastFrameMs: 6000 });
      mkdirSync(dirname(join(ROOT, PICTURE)), { recursive: true });
      writeFileSync(join(ROOT, PICTURE), svg);
      say(`${PICTURE}: ${Math.ceil(svg.length / 1000)} kB`);
    } finally {
      await closeSandbox();
    }
  });
}

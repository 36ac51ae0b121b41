// Prepares a checkout: packages, dist/, PostgreSQL and Temporal. Fast if there is nothing to do.
//
//   node scripts/setup.mjs [--servers=any|all|none]
//
// any (default)  Temporal and one PostgreSQL, for the demo
// all            PostgreSQL 14 to 18, for the tests
// none           packages and dist/ only
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

import { build, needsBuild } from "./build.mjs";
import { isMain, main, readIfThere, ROOT, run, say, SetupError, withLock } from "./project.mjs";

/** Sets the checkout up. */
export async function setUp(servers) {
  checkNode();
  if (needsInstall() || needsBuild()) {
    await withLock(async () => {
      // Checked again, because another process may have done it while we waited.
      if (needsInstall()) await install();
      if (needsBuild()) {
        say("Building dist/");
        await build();
      }
    });
  }
  if (servers === "none") return;
  const { ensureServers } = await load("dist/src/sandbox/packages.js");
  const { rememberCache } = await load("dist/src/machine/cache-folder.js");
  await ensureServers(servers, say);
  rememberCache();
}

/** Loads a module of dist/, which may have just been built. */
const load = (file) => import(pathToFileURL(join(ROOT, file)).href);

function checkNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major < 20 || (major === 20 && minor < 19)) {
    throw new SetupError(`Shardferry needs Node.js 20.19 or newer; this is ${process.versions.node}.`);
  }
}

/**
 * Returns whether node_modules lacks a package of the lock file or has a different version of it. Compares versions
 * instead of times: git gives the lock file an arbitrary time, and an edit may not concern the packages.
 */
function needsInstall() {
  const wanted = JSON.parse(readIfThere(join(ROOT, "package-lock.json")) ?? "{}").packages ?? {};
  const installed = JSON.parse(readIfThere(join(ROOT, "node_modules/.package-lock.json")) ?? "{}").packages;
  if (!installed) return true;
  return Object.entries(wanted).some(([path, { version, optional, devOptional }]) => {
    if (path === "") return false;
    const there = installed[path];
    // npm leaves out packages for other platforms.
    return there ? there.version !== version : !optional && !devOptional;
  });
}

async function install() {
  say("Installing packages (npm ci)");
  // No package needs its install script, and npm may refuse to run them.
  const args = ["ci", "--include=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  const npm = process.env.npm_execpath;
  if (npm && basename(npm) === "npm-cli.js") await run(process.execPath, [npm, ...args]);
  else await run("npm", args);
}

if (isMain(import.meta.url)) {
  await main(async () => {
    const { values } = parseArgs({ options: { servers: { type: "string", default: "any" } } });
    if (!["any", "all", "none"].includes(values.servers)) {
      throw new SetupError("--servers must be any, all or none.");
    }
    await setUp(values.servers);
  });
}

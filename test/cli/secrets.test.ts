import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { it } from "node:test";

import { literal } from "../../src/postgres/quote.ts";
import { type PostgresServer, startPostgres } from "../../src/sandbox/index.ts";
import { createDatabase } from "../support/index.ts";
import { activeShards, createShard, type Finished, run, start, stateFolder } from "./run-command.ts";

/** A password with every character that some syntax treats as special. */
const PASSWORD = `it's @ "s3cret" \\% &=/:`;
/** The password as it appears in URLs, in connection strings and in SQL. */
const FORMS = [PASSWORD, encodeURIComponent(PASSWORD), PASSWORD.replace(/[\\']/g, "\\$&"), literal(PASSWORD)];

/** A server that logs every statement, with a superuser who has that password. */
async function talkativeServer(name: string): Promise<PostgresServer> {
  const server = await startPostgres({
    version: 17,
    name,
    settings: { log_statement: "all", log_min_duration_statement: "0", log_replication_commands: "on" },
  });
  await server.withClient(async (client) => {
    await client.query("SET log_statement = none; SET log_min_duration_statement = -1");
    await client.query(`CREATE ROLE mover SUPERUSER LOGIN REPLICATION PASSWORD ${literal(PASSWORD)}`);
  });
  return server;
}

/** Records the arguments of every process of this machine, until the returned function is called. */
function watchArguments(): () => string {
  const seen = new Set<string>();
  const look = setInterval(() => {
    for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
      try {
        seen.add(readFileSync(`/proc/${pid}/cmdline`, "utf8"));
      } catch {
        // It ended while we were reading.
      }
    }
  }, 5);
  return () => {
    clearInterval(look);
    return [...seen].join("\n");
  };
}

const contentsOf = (folder: string, matching: RegExp): string =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && matching.test(entry.name))
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), "latin1"))
    .join("\n");

const textOf = ({ stdout, stderr }: Finished): string => `${stdout}\n${stderr}`;

it("the password of the databases is nowhere: not in a history, a log, the arguments of a process, an error or a file", async () => {
  const [a, b] = await Promise.all([talkativeServer("secret-a"), talkativeServer("secret-b")]);
  const databases = [await createDatabase(a), await createDatabase(b)] as const;
  const [from, to] = databases.map(({ server, name }) => `${server.host}:${server.port}/${name}`);
  const user = `mover:${encodeURIComponent(PASSWORD)}`;
  const env = { DSNS: `postgresql://${user}@${from},postgresql://${user}@${to}` };
  const outputs = [textOf(await run(["install"], { env }))];
  for (const shard of [61, 62]) await createShard(databases[0], shard);

  const stop = watchArguments();
  for (const [shard, method] of [
    [61, "direct"],
    [62, "tablesync"],
  ] as const) {
    const args = ["move", `--shard=${shard}`, `--to=${to}`, "--activate-on-destination=yes"];
    outputs.push(textOf(await run([...args, `--copy-method=${method}`], { env })));
  }
  assert.deepEqual(await activeShards(databases[1]), ["sh0061", "sh0062"]);

  // Errors of the command, and of a step that waits for a server that is down.
  const back = ["move", "--shard=61", `--to=${from}`, "--activate-on-destination=yes", "--wait"];
  const failing = start(back, { env });
  await failing.prints(/waiting for confirmation/);
  await b.stop("immediate");
  outputs.push(textOf(await run(["list"], { env })));
  outputs.push(textOf(await run(["confirm", "move-sh0061"], { env })));
  await failing.prints(/failed, trying again/);
  await b.start();
  outputs.push(textOf(await failing.ended()));

  const logs = contentsOf(join(tmpdir(), `shardferry.${userInfo().uid}`), /-sh006[12]\.log$/);
  const places = {
    "the arguments of processes": stop(),
    "what the commands print": outputs.join("\n"),
    "the log files of the moves": logs,
    // Includes the database of Temporal, and so every history.
    "the state folder": contentsOf(stateFolder, /./),
    "the log of the source": await a.log(),
    "the log of the destination": await b.log(),
  };
  for (const [place, text] of Object.entries(places)) {
    assert.match(text, /sh0061|shardferry/, `${place} say something`);
    for (const form of FORMS) assert.ok(!text.includes(form), `a password in ${place}`);
  }
});

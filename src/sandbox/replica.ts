import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { runAsServer } from "./data-folder.ts";
import { makeServerFolder } from "./folders.ts";
import { type PostgresOptions, PostgresServer } from "./postgres.ts";

let count = 0;

/** Starts a physical replica of a sandbox server and waits until it is streaming; its application_name is its name. */
export async function startReplica(
  primary: PostgresServer,
  options: Pick<PostgresOptions, "settings" | "name"> = {},
): Promise<PostgresServer> {
  const name = options.name ?? `${primary.name}-replica-${++count}`;
  const folder = await makeServerFolder(name);
  const dataDir = join(folder, "data");
  const { host, port, user, password, bin } = primary;
  await runAsServer(
    join(bin, "pg_basebackup"),
    [
      "-D",
      dataDir,
      "-h",
      host,
      "-p",
      String(port),
      "-U",
      user,
      "-c",
      "fast",
      "-X",
      "stream",
      "-R",
      "--no-sync",
    ],
    { PGPASSWORD: password },
  );
  const replica = new PostgresServer({
    binaries: { major: primary.version, bin },
    name,
    folder,
    dataDir,
    password,
    auth: primary.auth,
    // The limits of a replica must not be lower than those of its primary.
    settings: { ...primary.settings, ...options.settings },
  });
  await replica.start();
  await waitUntilStreaming(primary, replica);
  return replica;
}

async function waitUntilStreaming(primary: PostgresServer, replica: PostgresServer): Promise<void> {
  const deadline = Date.now() + 30_000;
  await primary.withClient(async (client) => {
    const query = "SELECT FROM pg_stat_replication WHERE application_name = $1 AND state = 'streaming'";
    while ((await client.query(query, [replica.name])).rowCount === 0) {
      if (Date.now() > deadline) throw new Error(`${replica.name} does not stream; see ${replica.logFile}`);
      await sleep(20);
    }
  });
}

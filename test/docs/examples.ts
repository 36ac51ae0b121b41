import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { after } from "node:test";

import { stopServer } from "../../src/temporal/embedded.ts";
import { createDatabase, type TestDatabase, testIslands } from "../support/index.ts";

/** Where the examples of the documents run: two islands, and their own embedded Temporal server. */
export interface Stage {
  source: TestDatabase;
  destination: TestDatabase;
  /** An empty folder; examples may write to it. */
  folder: string;
  /** The environment of a user who has set up nothing but passwords; psql is on PATH. */
  env: NodeJS.ProcessEnv;
}

/** Starts the servers; they are removed when the test file ends. */
export async function openStage(): Promise<Stage> {
  const { a, b } = await testIslands();
  const [source, destination] = await Promise.all([createDatabase(a), createDatabase(b)]);
  const root = mkdtempSync(join(tmpdir(), "shardferry-docs-"));
  const folder = join(root, "work");
  mkdirSync(folder);
  const passwords = join(root, "pgpass");
  const lines = [a, b].map(({ host, port, user, password }) => `${host}:${port}:*:${user}:${password}\n`);
  writeFileSync(passwords, lines.join(""), { mode: 0o600 });
  const env = {
    ...process.env,
    PATH: [a.bin, process.env["PATH"]].join(delimiter),
    PGPASSFILE: passwords,
    SHARDFERRY_STATE_DIR: join(root, "state"),
  };
  after(async () => {
    await stopServer(env);
    rmSync(root, { recursive: true, force: true });
  });
  return { source, destination, folder, env };
}

/** Returns the names of the databases in which a shard is active. */
export async function activePlaces({ source, destination }: Stage, schema: string): Promise<string[]> {
  const places = await Promise.all(
    [source, destination].map(async (database) => {
      const rows = await database.rows(
        "SELECT FROM unnest(microsharding.microsharding_list_active_shards()) shard WHERE shard::text = $1",
        [schema],
      );
      return rows.length > 0 ? [database.name] : [];
    }),
  );
  return places.flat();
}

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { type PostgresServer, startPostgres } from "../../src/sandbox/index.ts";
import { withClient } from "../support/index.ts";
import { createWorld, resultOf } from "../support/world.ts";
import { contentBefore, expectMoved, expectSound, LARGE, loadedShard } from "./shard.ts";

/** Defaults of a role or a database that would end our sessions in the middle of their work. */
const HOSTILE = [
  "statement_timeout = '200ms'",
  "lock_timeout = '50ms'",
  "idle_in_transaction_session_timeout = '200ms'",
  "idle_session_timeout = '200ms'",
  "transaction_timeout = '400ms'",
  "standard_conforming_strings = off",
  "default_transaction_isolation = 'serializable'",
];

/** Every text in a history; its payloads are bytes, in which searching the JSON would find nothing. */
function textOf(value: unknown): string {
  if (value instanceof Uint8Array) return Buffer.from(value).toString();
  if (value === null || typeof value !== "object") return String(value);
  return Object.values(value).map(textOf).join(" ");
}

/** Makes them the defaults of the databases for all new sessions. */
async function makeHostile(server: PostgresServer, database: string): Promise<void> {
  await server.withClient(async (client) => {
    for (const setting of HOSTILE) {
      await client.query(`ALTER DATABASE ${client.escapeIdentifier(database)} SET ${setting}`);
      await client.query(`ALTER ROLE postgres SET ${setting}`);
    }
  });
}

/** What pg_stat_activity shows of the sessions of a server. */
const activity = (server: PostgresServer): Promise<string[]> =>
  server.withClient(async (client) => {
    await client.query("SET statement_timeout = 0");
    const { rows } = await client.query<{ query: string }>("SELECT query FROM pg_stat_activity");
    return rows.map((row) => row.query);
  });

describe("a move between servers whose defaults are hostile", { timeout: 600_000 }, () => {
  for (const copyMethod of ["direct", "tablesync"] as const) {
    it(`succeeds with short timeouts, and leaks no password though every statement is logged (${copyMethod})`, async () => {
      const settings = {
        log_statement: "all",
        log_min_duration_statement: "0",
        log_replication_commands: "on",
      };
      const [a, b] = await Promise.all([
        startPostgres({ version: 17, name: "hostile-a", settings }),
        startPostgres({ version: 17, name: "hostile-b", settings }),
      ]);
      const world = await createWorld({ servers: { a, b } });
      const ledger = await loadedShard(world, { rows: LARGE });
      const before = await contentBefore(world);
      await makeHostile(a, world.a.name);
      await makeHostile(b, world.b.name);
      const worker = await world.startWorker();
      if (copyMethod === "tablesync") {
        const refused = await world.startMove({ copyMethod });
        await assert.rejects(resultOf(refused), /has transaction_timeout = 400 ms/);
        await b.withClient(async (client) => {
          for (const place of [`DATABASE "${world.b.name}"`, "ROLE postgres"])
            await client.query(`ALTER ${place} RESET transaction_timeout`);
          // Sessions that the worker keeps for later still have the settings with which they began.
          await client.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE starts_with(application_name, 'shardferry')",
          );
        });
      }
      const handle = await world.startMove({ copyMethod });
      const queries = new Set<string>();
      const result = resultOf(handle);
      const ended = result.then(
        () => true,
        () => true,
      );
      while (!(await Promise.race([ended, sleep(5, false)]))) {
        for (const server of [a, b]) for (const query of await activity(server)) queries.add(query);
      }
      const { leftover } = await result;
      // These defaults would also end our own queries.
      for (const server of [a, b])
        await server.withClient((client) => client.query("ALTER ROLE postgres RESET ALL"));
      for (const { server, name } of [world.a, world.b])
        await withClient(server.dsn(), (client) => client.query(`ALTER DATABASE "${name}" RESET ALL`));
      await expectSound(ledger);
      await expectMoved(world, leftover, before);

      const places = {
        "log of the source": await a.log(),
        "log of the destination": await b.log(),
        history: textOf(await handle.fetchHistory()),
        "output of the worker": worker.output,
        "list of sessions": [...queries].join(" "),
      };
      assert.match(places.history, /sh0042/);
      assert.match(places["list of sessions"], /sh0042/);
      assert.match(places["log of the destination"], /sh0042/);
      for (const [place, text] of Object.entries(places)) {
        for (const password of [a.password, b.password])
          assert.ok(!text.includes(password), `a password in the ${place}`);
      }
    });
  }

  it("shows no password when a server cannot be reached", async () => {
    const [a, b] = await Promise.all([
      startPostgres({ version: 17, name: "reachable" }),
      startPostgres({ version: 17, name: "unreachable" }),
    ]);
    const world = await createWorld({ servers: { a, b } });
    await loadedShard(world).then((ledger) => ledger.stop());
    const worker = await world.startWorker({ fault: "before create structure", mode: "hold" });
    const handle = await world.startMove();
    await worker.reached("before create structure");
    await b.stop("immediate");
    worker.goOn();
    await handle.cancel();
    await b.start();
    await resultOf(handle).catch(() => undefined);
    const history = textOf(await handle.fetchHistory());
    for (const text of [history, worker.output]) {
      for (const password of [a.password, b.password]) assert.ok(!text.includes(password));
    }
  });
});

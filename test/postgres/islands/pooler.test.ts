import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import type { Settings } from "../../../src/config/settings.ts";
import { doctor } from "../../../src/operations/doctor.ts";
import { drift } from "../../../src/operations/drift.ts";
import { factor } from "../../../src/operations/factor.ts";
import { list } from "../../../src/operations/list.ts";
import { Islands, type SessionOptions } from "../../../src/postgres/islands/connections.ts";
import { parseDsn } from "../../../src/postgres/islands/dsn.ts";
import { PoolerError } from "../../../src/postgres/islands/pooler.ts";
import { settingsOf } from "../../cleanup/islands.ts";
import { type TestDatabase, withClient } from "../../support/index.ts";
import { Pooler, type PoolerOptions } from "../../support/pooler.ts";
import { activePlaces, createShard, createWorld, resultOf, type World } from "../../support/world.ts";

const KINDS: readonly PoolerOptions[] = [
  { mode: "transaction", options: "refuse" },
  { mode: "transaction", options: "ignore" },
  { mode: "session", options: "ignore" },
];

const ACTIONS: Record<string, (settings: Settings) => Promise<unknown>> = {
  list: (settings) => list(settings),
  doctor: (settings) => doctor(settings),
  drift: (settings) => drift(settings),
  factor: (settings) => factor(settings, { numbers: [42] }, { operator: "=", operand: "2" }),
};

/** All settings of a session of the application. */
const SETTINGS = "SELECT name, setting FROM pg_settings WHERE source IN ('session', 'client') ORDER BY name";

for (const kind of KINDS)
  describe(`a connection pooler (${kind.mode} mode, options: ${kind.options})`, { timeout: 120_000 }, () => {
    let world: World;
    let pooler: Pooler;
    let pooled: TestDatabase;
    let name: string;
    before(async () => {
      world = await createWorld({ forFile: true });
      await createShard(world.a, 42, "CREATE TABLE sh0042.t (id int PRIMARY KEY)");
      pooler = await Pooler.start(world.a.server, kind);
      pooled = { ...world.a, dsn: pooler.dsn(world.a.name) };
      name = parseDsn(pooled.dsn).name;
    });

    const isTold = (error: unknown): true => {
      assert.ok(error instanceof PoolerError, String(error));
      assert.equal(error.code, "pooler");
      assert.ok(error.message.includes(`answers at ${name}`), error.message);
      assert.match(error.message, /PostgreSQL's own host and port/);
      return true;
    };

    it("is recognized by every action, and the sessions of the application stay as they are", async () => {
      const fresh = await withClient(
        pooled.dsn,
        async (client) => (await client.query(SETTINGS)).rows as unknown,
      );
      const settings = await settingsOf([pooled, world.b]);
      for (const [action, run] of Object.entries(ACTIONS))
        await assert.rejects(run(settings), isTold, action);
      const later = await withClient(
        pooled.dsn,
        async (client) => (await client.query(SETTINGS)).rows as unknown,
      );
      assert.deepEqual(later, fresh);
    });

    it("is recognized in every kind of session", async () => {
      const islands = new Islands([parseDsn(pooled.dsn)]);
      const options: SessionOptions[] = [{}, { reuse: true }, { replication: true }];
      for (const one of options)
        await assert.rejects(
          islands.withSession(name, one, () => Promise.resolve()),
          isTold,
        );
      await assert.rejects(
        islands.withClient(name, () => Promise.resolve()),
        isTold,
      );
      await assert.rejects(
        islands.withLook(name, () => Promise.resolve()),
        isTold,
      );
      await islands.close();
    });

    it("ends a move at once", async () => {
      await world.startWorker({ dsns: [pooled.dsn, world.b.dsn] });
      const handle = await world.startMove({ from: name });
      await assert.rejects(resultOf(handle), /A connection pooler .* answers at/);
      const history = await handle.fetchHistory();
      assert.ok(
        history.events!.every(
          ({ activityTaskStartedEventAttributes: started }) => (started?.attempt ?? 1) === 1,
        ),
      );
      assert.deepEqual(await activePlaces("sh0042", world.a, world.b), [world.a.name]);
    });
  });

it("is not seen where there is none, whatever the way to the server", async () => {
  const { a } = await createWorld();
  const islands = new Islands([parseDsn(a.dsn)]);
  const { name } = parseDsn(a.dsn);
  const options: SessionOptions[] = [
    {},
    { reuse: true },
    { replication: true },
    { pgOptions: "-c work_mem=8MB" },
  ];
  for (const one of options) await islands.withSession(name, one, (client) => client.query("SELECT"));
  await islands.close();
});

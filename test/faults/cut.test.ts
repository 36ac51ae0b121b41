import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import type { Settings } from "../../src/config/settings.ts";
import { ShardferryError } from "../../src/errors.ts";
import { findLeftovers } from "../../src/operations/cleanup.ts";
import { doctor, doctorMove } from "../../src/operations/doctor.ts";
import { drift } from "../../src/operations/drift.ts";
import { factor } from "../../src/operations/factor.ts";
import { list } from "../../src/operations/list.ts";
import { acceptsStructure } from "../../src/preflight/trial-restore.ts";
import { islandOf, settingsOf } from "../cleanup/islands.ts";
import { createIslands, type Islands, run } from "../cli/run-command.ts";
import { behind, Proxy } from "../support/index.ts";

/** What only reads: it works although a session breaks once. */
const READING: Record<string, (settings: Settings, to: string) => Promise<unknown>> = {
  list: (settings) => list(settings, { statistics: true }).then(({ islands }) => islands.length),
  doctor: (settings) => doctor(settings),
  "doctor --shard --to": (settings, to) => doctorMove(settings, { shard: 1, to }),
  "cleanup without --yes": (settings) => findLeftovers(settings, null),
  drift: (settings) => drift(settings),
};

/** Messages of an action at which it is cut; the preflight of a move has hundreds. */
const MOST = 120;

describe("a connection that is cut at the n-th message", { timeout: 400_000 }, () => {
  let settings: Settings;
  let proxy: Proxy;
  let islands: Islands;
  let cut: string;
  before(async () => {
    islands = await createIslands([1, 2]);
    proxy = await Proxy.start(islands.a.server);
    const near = behind(proxy, islands.a.server);
    const a = { ...islands.a, dsn: near.dsn(islands.a.name) };
    cut = islandOf(a);
    settings = await settingsOf([a, islands.b]);
  });

  /** The island, a code of its own, and what to do. */
  const isTold = (error: unknown): true => {
    assert.ok(error instanceof ShardferryError, String(error));
    assert.match(error.code, /^(session_lost|unreachable)$/);
    assert.ok(error.message.includes(cut), error.message);
    if (error.code === "session_lost") assert.match(error.message, /run the same command again/);
    return true;
  };

  for (const [name, action] of Object.entries(READING))
    it(`does not keep \`${name}\` from its result, or is told with its island`, async () => {
      const wanted = await action(settings, islands.names.b);
      let healed = 0;
      for (let n = 1; n < MOST; n += n < 20 ? 1 : 7) {
        proxy.cutAt(n);
        const outcome = await action(settings, islands.names.b).catch((error: unknown) => ({ error }));
        const failed = typeof outcome === "object" && outcome !== null && "error" in outcome;
        if (failed) isTold(outcome.error);
        else assert.deepEqual(outcome, wanted);
        if (proxy.isToCut) break;
        if (!failed) healed++;
      }
      proxy.cutAt(Infinity);
      assert.ok(healed > 2, String(healed));
    });

  it("is told as a session that broke, and not in the words of a driver, even if the server stays away", async () => {
    const near = await Proxy.start(islands.a.server);
    const a = { ...islands.a, dsn: behind(near, islands.a.server).dsn(islands.a.name) };
    const gone = await settingsOf([a, islands.b]);
    near.cutAt(8);
    // The session that is open is cut later, and there will be no other.
    near.server.once("connection", () => near.server.close());
    await assert.rejects(list(gone, { statistics: true }), (error: unknown) => {
      assert.ok(error instanceof ShardferryError, String(error));
      assert.deepEqual(
        [error.code, error.message.includes(islandOf(a))],
        ["session_lost", true],
        error.message,
      );
      assert.doesNotMatch(error.message, /queryable/);
      return true;
    });
  });

  it("is told with its island by `factor`, which is not run again", async () => {
    for (let n = 1; n < MOST; n++) {
      proxy.cutAt(n);
      const error = await factor(settings, { numbers: [1] }, { operator: "=", operand: "1" }).catch(
        (failure: unknown) => failure,
      );
      if (proxy.isToCut) break;
      if (error instanceof Error) isTold(error);
    }
    proxy.cutAt(Infinity);
  });

  it("is told by a command as one document", async () => {
    const env = {
      DSNS: settings.dsns
        .map((_, i) => [behind(proxy, islands.a.server).dsn(islands.a.name), islands.b.dsn][i])
        .join(),
    };
    proxy.cutAt(5);
    const { stdout, stderr, status } = await run(["factor", "--shard=1", "--factor=1", "--json"], { env });
    proxy.cutAt(Infinity);
    assert.equal(status, 1);
    const { error } = JSON.parse(stdout) as { error: { code: string; message: string } };
    assert.match(error.code, /^(session_lost|unreachable)$/);
    assert.ok(error.message.includes(cut), error.message);
    assert.doesNotMatch(stderr, /\n {4}at /);
  });
});

describe("the trial of a structure on another server", () => {
  it("fails as a whole, and not somewhere nobody awaits it, when the source's session breaks", async () => {
    const broken = new Error("Client has encountered a connection error and is not queryable");
    const answer = (sql: string): Promise<{ rows: { locks: number }[] }> =>
      Promise.resolve({
        rows: sql.includes("locks") ? [{ locks: sql.includes("max_locks") ? 1000 : 0 }] : [],
      });
    const context = {
      // Breaks while pg_dump is running.
      source: { query: (sql: string) => (sql === "SELECT" ? Promise.reject(broken) : answer(sql)) },
      destination: { query: answer },
      islands: {
        dsn: () => ({
          name: "host/app",
          host: "127.0.0.1",
          port: 1,
          user: "u",
          database: "app",
          params: {},
        }),
      },
      alive: () => undefined,
      request: { schema: "sh0042", from: "host/app" },
      from: { build: "PostgreSQL 17", identity: { serverMajor: 17, superuser: true } },
      to: { build: "PostgreSQL 16", identity: { serverMajor: 16 } },
    } as unknown as Parameters<typeof acceptsStructure>[0];
    // The run of this file fails of what is rejected without a handler.
    await assert.rejects(acceptsStructure(context), /is not queryable|pg_dump/);
  });
});

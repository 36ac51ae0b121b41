import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { install } from "../../src/operations/install.ts";
import { settingsOf } from "../cleanup/islands.ts";
import { behind, createDatabase, Proxy, testIslands, waitFor } from "../support/index.ts";

const HOLDER = "SELECT pg_advisory_xact_lock(hashtext('microsharding install'), 0)";

describe("install, while somebody else installs", { timeout: 120_000 }, () => {
  it("waits, and says for whom", async () => {
    const database = await createDatabase((await testIslands()).a);
    const settings = await settingsOf([database]);
    const lines: string[] = [];
    let waiting: Promise<unknown> | undefined;
    await database.withClient(async (client) => {
      await client.query("SET application_name TO somebody; BEGIN");
      await client.query(HOLDER);
      waiting = install(settings, (line) => lines.push(line));
      await waitFor(() => lines.length > 0, { what: "the word for whom it waits" });
    });
    await waiting;
    assert.match(lines.join("\n"), /: waiting for pid \d+ \S+ \(somebody\), idle in transaction/);
    assert.match(
      lines.join("\n"),
      /; nothing to do but wait \(if it hangs: SELECT pg_terminate_backend\(\d+\)\)$/m,
    );
    assert.doesNotMatch(lines.join("\n"), /ended by/);
  });

  it("is free soon when that one has vanished without a word", async () => {
    const { a } = await testIslands();
    const database = await createDatabase(a);
    const proxy = await Proxy.start(a);
    const vanishing = await settingsOf([{ ...database, dsn: behind(proxy, a).dsn(database.name) }]);
    const held = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted";
    const lost = install(vanishing).catch(() => undefined);
    await waitFor(async () => (await database.rows(held)).length > 0, { what: "the lock", every: 1 });
    // No packet arrives any more, and the socket stays open, as behind a NAT that has forgotten it.
    proxy.swallow();
    const begun = Date.now();
    await install(await settingsOf([database]));
    assert.ok(Date.now() - begun < 30_000);
    await proxy.end();
    await lost;
  });
});

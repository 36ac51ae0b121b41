import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import type { ClientBase } from "pg";

import { isRetryable } from "../../activities/attempt/failures.ts";
import { forgetPgDumps } from "../../src/machine/pg-programs.ts";
import { refreshDebugViews } from "../../src/postgres/api/debug-views.ts";
import { parseDsn } from "../../src/postgres/islands/dsn.ts";
import { dumpSchema } from "../../src/postgres/schema/dump.ts";

describe("a server that speaks German", () => {
  const folder = mkdtempSync(join(tmpdir(), "languages-"));
  const saved = process.env["PG_BIN"];
  before(() => {
    // A program that fails with the words of such a server, and tells how it was started.
    const script = `#!/bin/sh
[ "$1" = --version ] && echo "pg_dump (PostgreSQL) 99.1" && exit
echo "pg_dump: error: query failed: FEHLER: $WORDS; LC_ALL=$LC_ALL PGOPTIONS=$PGOPTIONS" >&2
exit 1
`;
    for (const name of ["pg_dump", "pg_restore"]) {
      writeFileSync(join(folder, name), script);
      chmodSync(join(folder, name), 0o755);
    }
    process.env["PG_BIN"] = folder;
    forgetPgDumps();
  });
  after(() => {
    if (saved === undefined) delete process.env["PG_BIN"];
    else process.env["PG_BIN"] = saved;
    forgetPgDumps();
    rmSync(folder, { recursive: true });
  });

  const dump = async (superuser: boolean, words: string): Promise<Error> => {
    process.env["WORDS"] = words;
    const error = await dumpSchema(parseDsn("host/app", {}), "sh0042", { serverMajor: 99, superuser }).catch(
      (failure: Error) => failure,
    );
    assert.ok(error instanceof Error);
    return error;
  };

  it("is asked by pg_dump to speak English where the role may ask for it", async () => {
    const error = await dump(true, "canceling statement due to statement timeout");
    assert.match(error.message, /LC_ALL=C PGOPTIONS=.*-c tcp_user_timeout=20s -c lc_messages=C$/m);
    assert.equal(isRetryable(error, 1000), true);
    assert.equal(isRetryable(await dump(true, "permission denied for table t")), false);
  });

  it("is not asked by an ordinary role, whose pg_dump is tried a few times", async () => {
    const error = await dump(false, "storniere Anfrage wegen Zeitüberschreitung der Anfrage");
    assert.doesNotMatch(error.message, /lc_messages/);
    assert.deepEqual([isRetryable(error, 1), isRetryable(error, 3)], [true, false]);
  });

  it("warns of debug views that lack something", async () => {
    const client = new EventEmitter();
    const query = (sql: string): Promise<unknown> => {
      if (sql.includes("debug_views_refresh")) {
        client.emit("notice", { severity: "WARNUNG", code: "01000", message: "es fehlt etwas" });
        client.emit("notice", { severity: "HINWEIS", code: "00000", message: "unwichtig" });
      }
      return Promise.resolve({ rows: [] });
    };
    const fake = Object.assign(client, { query }) as unknown as ClientBase;
    const patience = { pause: () => Promise.resolve(), beat: () => undefined };
    const lend = <T>(use: (client: ClientBase) => Promise<T>): Promise<T> => use(fake);
    assert.deepEqual(await refreshDebugViews(fake, "api", { island: "host/app", patience, lend }), [
      "es fehlt etwas",
    ]);
  });
});

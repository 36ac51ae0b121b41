import assert from "node:assert/strict";
import { chmodSync, chownSync, copyFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";

import pg from "pg";

import { toClientConfig } from "../../src/postgres/islands/client-config.ts";
import { parseDsn } from "../../src/postgres/islands/dsn.ts";
import { type PostgresServer, startPostgres } from "../../src/sandbox/index.ts";

/** A certificate for `localhost` and the one that signed it, made only for these tests. */
const TLS = fileURLToPath(new URL("tls", import.meta.url));
const CA = join(TLS, "ca.crt");

let plain: PostgresServer;
let secure: PostgresServer;

before(async () => {
  [plain, secure] = await Promise.all([startPostgres(), startPostgres()]);
  const { uid, gid } = statSync(secure.dataDir);
  for (const name of ["server.crt", "server.key"]) {
    const file = join(secure.dataDir, name);
    copyFileSync(join(TLS, name), file);
    chownSync(file, uid, gid);
    chmodSync(file, 0o600);
  }
  secure.settings = { ...secure.settings, ssl: "on" };
  await secure.restart();
});

/** Connects, and returns whether the connection is encrypted. */
async function isEncrypted(server: PostgresServer, query: string, host = "localhost"): Promise<boolean> {
  const dsn = parseDsn(`${server.dsn().replace("127.0.0.1", host)}?${query}`, { HOME: "/nowhere" });
  const client = new pg.Client(toClientConfig(dsn));
  await client.connect();
  try {
    const { rows } = await client.query<{ ssl: boolean }>(
      "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
    );
    return rows[0]!.ssl;
  } finally {
    await client.end();
  }
}

describe("sslmode means the same as in psql", () => {
  it("prefers TLS by default, and does without if the server has none", async () => {
    for (const query of ["", "sslmode=prefer", "sslmode=allow"]) {
      assert.equal(await isEncrypted(secure, query), true, query);
      assert.equal(await isEncrypted(plain, query), false, query);
    }
  });

  it("works in a pool, which makes many connections from one configuration", async () => {
    for (const server of [plain, secure]) {
      const pool = new pg.Pool({ ...toClientConfig(parseDsn(server.dsn(), {})), max: 3 });
      const clients = await Promise.all([pool.connect(), pool.connect(), pool.connect()]);
      for (const client of clients) client.release();
      await pool.end();
    }
  });

  it("does not use TLS if it is disabled", async () => {
    assert.equal(await isEncrypted(secure, "sslmode=disable"), false);
  });

  it("requires TLS without checking who signed the certificate", async () => {
    assert.equal(await isEncrypted(secure, "sslmode=require"), true);
    await assert.rejects(isEncrypted(plain, "sslmode=require"), /does not support SSL/);
  });

  it("verifies who signed the certificate and, with verify-full, also the name in it", async () => {
    for (const mode of ["require", "verify-ca", "verify-full"]) {
      assert.equal(await isEncrypted(secure, `sslmode=${mode}&sslrootcert=${CA}`), true, mode);
    }
    assert.equal(await isEncrypted(secure, `sslmode=verify-ca&sslrootcert=${CA}`, "127.0.0.1"), true);
    await assert.rejects(
      isEncrypted(secure, `sslmode=verify-full&sslrootcert=${CA}`, "127.0.0.1"),
      /IP|altnames/,
    );
    await assert.rejects(isEncrypted(secure, "sslmode=verify-full&sslrootcert=system"), /certificate/);
    const query = `sslmode=verify-full&hostaddr=127.0.0.1&sslrootcert=${CA}`;
    assert.equal(await isEncrypted(secure, query), true);
  });

  it("says what is missing for a verification", async () => {
    await assert.rejects(
      isEncrypted(secure, "sslmode=verify-ca"),
      /needs a root certificate: set sslrootcert/,
    );
    await assert.rejects(isEncrypted(secure, "sslmode=verify-ca&sslrootcert=/none"), /Cannot read \/none/);
  });
});

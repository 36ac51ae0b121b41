/**
 * copy-relay.ts, client-config.ts and a few statements use parts of node-postgres that its types do not declare. A
 * new version of pg may change them silently; these tests name what has changed, before rows are lost or sessions hang.
 */
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { PassThrough } from "node:stream";
import { describe, it } from "node:test";

import pg from "pg";

const { version } = createRequire(import.meta.url)("pg/package.json") as { version: string };

const upgraded = (usedBy: string, what: string): string =>
  `pg was upgraded: ${what} in version ${version}, but ${usedBy} relies on it`;

const Connection = pg.Connection as unknown as new (config: object) => pg.Connection;

/** A socket that leads nowhere. */
class NoSocket extends PassThrough {
  setNoDelay(): void {}
  connect(): void {}
}

/** A client that believes it is connecting, and its connection, which a test speaks for. */
function connecting(ssl?: { rejectUnauthorized: boolean }): { client: pg.Client; connection: pg.Connection } {
  const connection = new Connection({ stream: new NoSocket(), ssl });
  const client = new pg.Client({ connection, ssl } as pg.ClientConfig);
  client.connect().catch(() => undefined);
  return { client, connection };
}

/** A message of the server. */
function message(type: string, text: string): Buffer {
  const body = Buffer.from(text);
  const length = Buffer.alloc(4);
  length.writeInt32BE(4 + body.length);
  return Buffer.concat([Buffer.from(type), length, body]);
}

describe("what is used of node-postgres beyond its declared types", () => {
  it("a connection has the methods that are called or replaced", () => {
    for (const [usedBy, names] of [
      ["src/postgres/copy-relay.ts", ["query", "sendCopyFail"]],
      ["src/postgres/islands/client-config.ts", ["connect", "upgradeToSSL", "attachListeners"]],
    ] as const) {
      for (const name of names) {
        const found = typeof (pg.Connection.prototype as unknown as Record<string, unknown>)[name];
        assert.equal(found, "function", upgraded(usedBy, `Connection has no method ${name}()`));
      }
    }
  });

  it("one listener reads the socket, and can be called with bytes", () => {
    const usedBy = "src/postgres/copy-relay.ts";
    const { client, connection } = connecting();
    client.on("error", () => undefined);
    const readers = connection.stream.listeners("data") as ((chunk: Buffer) => void)[];
    assert.equal(readers.length, 1, upgraded(usedBy, `${readers.length} listeners read the socket`));
    const told: unknown[] = [];
    connection.on("commandComplete", ({ text }: { text: unknown }) => told.push(text));
    readers[0]!(message("C", "COPY 3\0"));
    assert.deepEqual(told, ["COPY 3"], upgraded(usedBy, "messages are read in another way"));
  });

  it("a query of our own is submitted, and told about what the server sends", () => {
    const { client, connection } = connecting();
    connection.emit("readyForQuery", { status: "I" });
    const calls: string[] = [];
    const query = {
      submit: (to: unknown) => void calls.push(to === connection ? "submit" : "submit to another"),
      handleCopyInResponse: () => void calls.push("copy in"),
      handleCommandComplete: ({ text }: { text: string }) => void calls.push(text),
      handleReadyForQuery: () => void calls.push("ready"),
      handleError: () => void calls.push("error"),
    };
    client.query(query);
    connection.emit("copyInResponse", {});
    connection.emit("commandComplete", { text: "COPY 3" });
    connection.emit("readyForQuery", { status: "I" });
    client.query(query);
    connection.emit("errorMessage", new Error("failed"));
    assert.deepEqual(
      calls,
      ["submit", "copy in", "COPY 3", "ready", "submit", "error"],
      upgraded("src/postgres/copy-relay.ts", "queries are run in another way"),
    );
  });

  it("a client takes a connection, which asks for TLS before anything else", () => {
    const usedBy = "src/postgres/islands/client-config.ts";
    const { client, connection } = connecting({ rejectUnauthorized: false });
    const { connection: taken } = client as unknown as { connection: unknown };
    assert.equal(taken, connection, upgraded(usedBy, "a client makes a connection of its own"));
    for (const [name, emitter] of [
      ["data", connection.stream],
      ["sslconnect", connection],
    ] as const) {
      const count = emitter.listenerCount(name);
      assert.equal(count, 1, upgraded(usedBy, `${count} listeners wait for "${name}"`));
    }
  });

  it("a client knows its backend", () => {
    const { client, connection } = connecting();
    connection.emit("backendKeyData", { processID: 4711, secretKey: 1 });
    const { processID } = client as unknown as { processID: unknown };
    assert.equal(processID, 4711, upgraded("src/postgres/session.ts", "a client has no processID"));
  });
});

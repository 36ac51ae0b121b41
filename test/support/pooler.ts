import { randomInt } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { after } from "node:test";

import pg from "pg";

import type { TestServer } from "./servers.ts";

export interface PoolerOptions {
  /** When a session of the server is returned: after each transaction, or when the client goes. */
  mode: "transaction" | "session";
  /** What happens to `options` in a client's startup message: FATAL 08P01, or as with ignore_startup_parameters. */
  options: "refuse" | "ignore";
}

const SSL_REQUEST = 80877103;

/** A message of the protocol: its type, then its length with the four bytes of that. */
const message = (type: string, body: Buffer): Buffer => {
  const head = Buffer.alloc(5, type);
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
};

const int32 = (...values: number[]): Buffer =>
  Buffer.concat(
    values.map((value) => {
      const bytes = Buffer.alloc(4);
      bytes.writeInt32BE(value);
      return bytes;
    }),
  );

const fatal = (text: string): Buffer => message("E", Buffer.from(`SFATAL\0VFATAL\0C08P01\0M${text}\0\0`));

/** A connection pooler in front of a server, as PgBouncer is one: it greets clients itself, and has few sessions for them. */
export class Pooler {
  readonly #clients = new Set<Socket>();
  readonly #idle = new Map<string, pg.Client[]>();
  readonly #sessions = new Set<pg.Client>();

  private constructor(
    readonly listener: Server,
    readonly server: TestServer,
    readonly options: PoolerOptions,
  ) {
    listener.on("connection", (client) => this.#greet(client));
  }

  /** Starts a pooler that ends with the test file. */
  static async start(server: TestServer, options: PoolerOptions): Promise<Pooler> {
    const listener = createServer();
    const pooler = new Pooler(listener, server, options);
    listener.listen(0, "127.0.0.1");
    await once(listener, "listening");
    poolers.add(pooler);
    return pooler;
  }

  /** The DSN of a database behind the pooler. */
  dsn(database: string): string {
    const { port } = this.listener.address() as AddressInfo;
    const { user, password } = this.server;
    return `postgresql://${user}:${password}@127.0.0.1:${port}/${encodeURIComponent(database)}`;
  }

  async end(): Promise<void> {
    poolers.delete(this);
    for (const client of this.#clients) client.destroy();
    await Promise.all([...this.#sessions].map((session) => session.end()));
    this.listener.close();
    await once(this.listener, "close");
  }

  /** Answers the startup message without asking the server; no password is asked for. */
  #greet(client: Socket): void {
    this.#clients.add(client);
    client.on("error", () => undefined);
    client.once("close", () => this.#clients.delete(client));
    const onStart = (data: Buffer): void => {
      if (data.readInt32BE(4) === SSL_REQUEST) return void client.write("N");
      client.off("data", onStart);
      const words = data.subarray(8).toString().split("\0");
      const parameters = new Map(words.flatMap((word, i) => (i % 2 ? [] : [[word, words[i + 1]!] as const])));
      const refused = ["replication", ...(this.options.options === "refuse" ? ["options"] : [])];
      const unknown = refused.find((name) => parameters.has(name));
      if (unknown !== undefined) return void client.end(fatal(`unsupported startup parameter: ${unknown}`));
      this.#serve(client, parameters.get("database")!);
      client.write(
        Buffer.concat([
          message("R", int32(0)),
          message("S", Buffer.from("server_version\x0017.0\0")),
          message("K", int32(randomInt(2 ** 31), randomInt(2 ** 31))),
          message("Z", Buffer.from("I")),
        ]),
      );
    };
    client.on("data", onStart);
  }

  /** Passes on what the client sends, to a session that is lent while a transaction is open. */
  #serve(client: Socket, database: string): void {
    let lent: Promise<pg.Client> | undefined;
    const giveBack = (session: pg.Client): void => {
      lent = undefined;
      streamOf(session).removeAllListeners("data");
      this.#idle.set(database, [...(this.#idle.get(database) ?? []), session]);
    };
    const take = async (): Promise<pg.Client> => {
      const session = this.#idle.get(database)?.pop() ?? (await this.#open(database));
      let rest = Buffer.alloc(0);
      streamOf(session).on("data", (data: Buffer) => {
        client.write(data);
        rest = Buffer.concat([rest, data]);
        for (
          let end;
          rest.length >= 5 && rest.length >= (end = 1 + rest.readInt32BE(1));
          rest = rest.subarray(end)
        )
          if (rest[0] === 0x5a && rest[5] === 0x49 && this.options.mode === "transaction") giveBack(session);
      });
      return session;
    };
    client.on("data", (data: Buffer) => {
      // The client says good-bye.
      if (data[0] === 0x58) return;
      lent ??= take();
      void lent.then((session) => streamOf(session).write(data));
    });
    client.once("close", () => void lent?.then(giveBack));
  }

  /** Opens a session of the server, with node-postgres for the authentication only. */
  async #open(database: string): Promise<pg.Client> {
    const session = new pg.Client({ connectionString: this.server.dsn(database) });
    session.on("error", () => undefined);
    await session.connect();
    streamOf(session).removeAllListeners("data");
    this.#sessions.add(session);
    return session;
  }
}

const streamOf = (session: pg.Client): Socket =>
  (session as unknown as { connection: { stream: Socket } }).connection.stream;

const poolers = new Set<Pooler>();
after(async () => {
  for (const pooler of poolers) await pooler.end();
});

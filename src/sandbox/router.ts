import { setTimeout as sleep } from "node:timers/promises";

import pg from "pg";

import { DEFAULT_API_SCHEMA } from "../postgres/api/install.ts";
import { activeShardsSql } from "../postgres/api/shards.ts";

/**
 * Finds a shard as an application does: asks the islands one after another which shards are active there. Keeps a
 * connection to each, so that another lookup takes a millisecond. Each writer has its own router.
 */
export class Router {
  /** How often the shard was looked up. */
  lookups = 0;
  readonly #connections = new Map<string, pg.Client>();

  constructor(
    private readonly dsns: readonly string[],
    private readonly schema: string,
  ) {}

  /** Returns a connection to the island on which the shard is active; waits while it is active nowhere. */
  async find(): Promise<pg.Client> {
    this.lookups++;
    for (;;) {
      for (const dsn of this.dsns) {
        const client = await this.#connect(dsn);
        if (await isActive(client, this.schema)) return client;
      }
      await sleep(1);
    }
  }

  /** Closes all connections. */
  async close(): Promise<void> {
    await Promise.all([...this.#connections.values()].map((client) => client.end()));
  }

  async #connect(dsn: string): Promise<pg.Client> {
    const known = this.#connections.get(dsn);
    if (known) return known;
    const client = new pg.Client({ connectionString: dsn, application_name: "application" });
    // If the server stops while the connection is idle, the next query fails.
    client.on("error", () => undefined);
    await client.connect();
    this.#connections.set(dsn, client);
    return client;
  }
}

/** Returns whether a shard is active on the island of this connection. */
export async function isActive(client: pg.ClientBase, schema: string): Promise<boolean> {
  const { rowCount } = await client.query({
    name: "is_active",
    text: `SELECT FROM (${activeShardsSql({ schema: DEFAULT_API_SCHEMA })}) shard WHERE nspname = $1`,
    values: [schema],
  });
  return rowCount === 1;
}

import pg from "pg";

/** Sessions to some databases, opened as needed; several writers may share them. */
export class Sessions {
  readonly #pools = new Map<string, pg.Pool>();
  readonly #name: string;
  readonly #most: number;

  /** @param most maximum number of concurrent sessions to each database. */
  constructor(applicationName: string, most: number) {
    this.#name = applicationName;
    this.#most = most;
  }

  to(dsn: string): pg.Pool {
    const known = this.#pools.get(dsn);
    if (known) return known;
    const pool = new pg.Pool({
      connectionString: dsn,
      application_name: this.#name,
      max: this.#most,
      idleTimeoutMillis: 0,
      // Database defaults that a test sets are meant for others: they must not make an application fail that waits, and
      // its writers must not fail each other by serializable isolation.
      options: "-c lock_timeout=0 -c statement_timeout=0 -c default_transaction_isolation=read\\ committed",
    });
    // A session whose server has gone down is replaced at its next use.
    pool.on("error", () => undefined);
    this.#pools.set(dsn, pool);
    return pool;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#pools.values()].map((pool) => pool.end()));
  }
}

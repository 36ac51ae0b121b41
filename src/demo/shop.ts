import type pg from "pg";

import { plural } from "../format.ts";
import { DEFAULT_API_SCHEMA } from "../postgres/api/install.ts";
import { ensureRange } from "../postgres/api/shards.ts";
import type { Workload } from "../sandbox/application.ts";
import { countStray, type Entry } from "../sandbox/books.ts";

/** The shard to move. */
export const SHARD = 1;
export const SCHEMA = "sh0001";
/** Further shards, which stay, because an island usually has several. */
export const LAST_SHARD = 4;

/** A web shop. `%` stands for the schema. */
const TABLES = `
  CREATE TABLE %.customers (
    id bigserial PRIMARY KEY, email text NOT NULL UNIQUE, name text NOT NULL, joined timestamptz NOT NULL);
  CREATE TABLE %.products (id bigserial PRIMARY KEY, sku text NOT NULL UNIQUE, price numeric(10, 2) NOT NULL);
  CREATE TABLE %.orders (
    id bigserial PRIMARY KEY, customer_id bigint NOT NULL, placed timestamptz NOT NULL, state text NOT NULL, note jsonb NOT NULL);
  CREATE TABLE %.order_lines (
    id bigserial PRIMARY KEY, order_id bigint NOT NULL, product_id bigint NOT NULL, pieces int NOT NULL, price numeric(10, 2) NOT NULL);
  CREATE TABLE %.payments (
    id bigserial PRIMARY KEY, order_id bigint NOT NULL, reference text NOT NULL, updates int NOT NULL DEFAULT 0,
    at timestamptz NOT NULL DEFAULT now())`;

const INDEXES = `
  CREATE INDEX ON %.customers (joined);
  CREATE INDEX ON %.orders (customer_id, placed);
  CREATE INDEX ON %.orders (state, placed);
  CREATE INDEX ON %.order_lines (order_id);
  CREATE INDEX ON %.order_lines (product_id);
  CREATE INDEX ON %.payments (reference);
  CREATE INDEX ON %.payments (order_id);
  ALTER TABLE %.orders ADD FOREIGN KEY (customer_id) REFERENCES %.customers;
  ALTER TABLE %.order_lines ADD FOREIGN KEY (order_id) REFERENCES %.orders;
  ALTER TABLE %.order_lines ADD FOREIGN KEY (product_id) REFERENCES %.products;
  ALTER TABLE %.payments ADD FOREIGN KEY (order_id) REFERENCES %.orders`;

/** Rows made from their numbers; about 200 MB including indexes if the scale is 1. */
function rows(scale: number): string {
  const [customers, products, orders] = [40_000, 5_000, 300_000].map((n) =>
    Math.max(1, Math.round(n * scale)),
  );
  return `
    INSERT INTO %.customers (email, name, joined)
      SELECT 'customer' || i || '@example.com', initcap(left(md5(i::text), 12)), timestamptz '2025-01-01' + i * interval '10 minutes'
      FROM generate_series(1, ${customers}) i;
    INSERT INTO %.products (sku, price) SELECT upper(left(md5(i::text), 10)) || i, (i % 20000) / 100.0 FROM generate_series(1, ${products}) i;
    INSERT INTO %.orders (customer_id, placed, state, note)
      SELECT 1 + i::bigint * 7919 % ${customers}, timestamptz '2025-01-01' + i * interval '1 minute', (ARRAY['new', 'paid', 'sent'])[1 + i % 3],
        jsonb_build_object('gift', i % 7 = 0, 'text', md5(i::text))
      FROM generate_series(1, ${orders}) i;
    INSERT INTO %.order_lines (order_id, product_id, pieces, price)
      SELECT 1 + i / 3, 1 + i * 31 % ${products}, 1 + i % 4, (i % 20000) / 100.0 FROM generate_series(0, ${3 * orders!} - 1) i`;
}

const inSchema = (sql: string, schema: string): string => sql.replaceAll("%.", `${schema}.`);

/** Creates the shards and fills the one to move; the others get empty tables. */
export async function openShop(client: pg.ClientBase, scale: number): Promise<void> {
  for (let shard = SHARD; shard <= LAST_SHARD; shard++) {
    await openShard(client, shard, shard === SHARD ? scale : null);
  }
}

/** Creates a shard with a web shop, and activates it; without a scale, its tables are empty. */
export async function openShard(client: pg.ClientBase, shard: number, scale: number | null): Promise<void> {
  const schema = schemaOf(shard);
  await ensureRange(client, DEFAULT_API_SCHEMA, "exist", shard, shard);
  await client.query(inSchema(TABLES, schema));
  if (scale !== null) await client.query(inSchema(rows(scale), schema));
  await client.query(inSchema(INDEXES, schema));
  await client.query("VACUUM (ANALYZE)");
  await ensureRange(client, DEFAULT_API_SCHEMA, "active", shard, shard);
}

/** The schema of a shard. */
export const schemaOf = (shard: number): string => `sh${String(shard).padStart(4, "0")}`;

/** Returns the size of the shard with and without its indexes, and its contents in words. */
export async function describeShop(
  client: pg.ClientBase,
): Promise<{ bytes: number; heapBytes: number; text: string }> {
  const { rows: found } = await client.query<
    Record<"bytes" | "heap" | "tables" | "indexes" | "keys", string>
  >(
    `SELECT sum(pg_total_relation_size(c.oid)) AS bytes, sum(pg_table_size(c.oid)) AS heap, count(*) AS tables,
       (SELECT count(*) FROM pg_indexes WHERE schemaname = $1) AS indexes,
       (SELECT count(*) FROM pg_constraint WHERE connamespace = $1::regnamespace AND contype = 'f') AS keys
     FROM pg_class c WHERE c.relnamespace = $1::regnamespace AND c.relkind = 'r'`,
    [SCHEMA],
  );
  const { bytes, heap, tables, indexes, keys } = found[0]!;
  return {
    bytes: Number(bytes),
    heapBytes: Number(heap),
    text: `${plural(Number(tables), "table")}, ${plural(Number(indexes), "index", "indexes")}, ${plural(Number(keys), "foreign key")}`,
  };
}

/** Payments arrive and are settled: inserts and updates at a steady rate. */
export function payments(dsns: readonly string[], schema = SCHEMA): Workload {
  const table = `${schema}.payments`;
  return {
    dsns,
    schema,
    writers: 4,
    rate: 200,
    insert: `INSERT INTO ${table} (order_id, reference) SELECT id, $1 FROM ${schema}.orders ORDER BY id LIMIT 1`,
    update: `UPDATE ${table} SET updates = updates + 1 WHERE reference = $1`,
    read: `SELECT reference, max(updates) AS updates, count(*) AS rows FROM ${table} GROUP BY reference`,
  };
}

/** Counts payments that went into the old copy after the switch, where nobody would find them. */
export async function strayPayments(old: pg.ClientBase, current: pg.ClientBase): Promise<number> {
  const { rows: copies } = await old.query<{ name: string }>(
    "SELECT nspname AS name FROM pg_namespace WHERE nspname LIKE $1",
    [`${SCHEMA}old%`],
  );
  const read = async (client: pg.ClientBase, schema: string): Promise<Payment[]> =>
    (await client.query<Payment>(`SELECT reference, updates FROM ${schema}.payments`)).rows;
  const known = await read(current, SCHEMA);
  let stray = 0;
  for (const { name } of copies) stray += countStray(await read(old, name), known);
  return stray;
}

type Payment = Omit<Entry, "rows">;

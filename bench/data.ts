import { type PostgresServer } from "../src/sandbox/index.ts";
import { createShards, DATABASE } from "./stage.ts";

/** The shard that all contenders copy. */
export const BIG = { shard: 1, schema: "sh0001" };

/** Its tables, as `CREATE TABLE` statements without keys; `%` stands for the schema. */
export const TABLES = [
  `CREATE TABLE %.users (id uuid NOT NULL, email text NOT NULL, name text NOT NULL, joined timestamptz NOT NULL)`,
  `CREATE SEQUENCE %.orders_id_seq AS int`,
  `CREATE TABLE %.orders (
     id int NOT NULL DEFAULT nextval('%.orders_id_seq'), user_id uuid NOT NULL, amount numeric(12, 2) NOT NULL,
     placed timestamptz NOT NULL, state text NOT NULL)`,
  `ALTER SEQUENCE %.orders_id_seq OWNED BY %.orders.id`,
  `CREATE TABLE %.events (
     id bigint NOT NULL, tenant int NOT NULL, at timestamptz NOT NULL, body text NOT NULL, payload jsonb NOT NULL)`,
];

export const TABLE_NAMES = ["events", "orders", "users"];

/** The keys and indexes of each table, the largest table first. */
export const INDEXES = [
  `ALTER TABLE %.events ADD CONSTRAINT events_pkey PRIMARY KEY (id)`,
  `CREATE INDEX events_tenant_at ON %.events (tenant, at)`,
  `CREATE INDEX events_at ON %.events (at)`,
  `CREATE INDEX events_kind ON %.events ((payload ->> 'kind'), id)`,
  `ALTER TABLE %.orders ADD CONSTRAINT orders_pkey PRIMARY KEY (id)`,
  `CREATE INDEX orders_user ON %.orders (user_id, placed)`,
  `ALTER TABLE %.users ADD CONSTRAINT users_pkey PRIMARY KEY (id)`,
  `ALTER TABLE %.users ADD CONSTRAINT users_email UNIQUE (email)`,
];

export const FOREIGN_KEYS = [
  `ALTER TABLE %.orders ADD CONSTRAINT orders_user_fkey FOREIGN KEY (user_id) REFERENCES %.users`,
];

const rows = (scale: number): { users: number; orders: number; events: number } => ({
  users: Math.round(200_000 * scale),
  orders: Math.round(500_000 * scale),
  events: Math.round(2_000_000 * scale),
});

/** Generates the rows from their numbers, so that every run copies the same. */
function fill(scale: number): string[] {
  const { users, orders, events } = rows(scale);
  const uuid = (number: string): string => `md5('user' || ${number})::uuid`;
  return [
    `INSERT INTO %.users SELECT ${uuid("i")}, 'user' || i || '@example.com', initcap(left(md5(i::text), 12)),
       timestamptz '2024-01-01' + i * interval '1 minute' FROM generate_series(1, ${users}) i`,
    `INSERT INTO %.orders SELECT i, ${uuid(`1 + i::bigint * 7919 % ${users}`)}, (i * 37 % 100000) / 100.0,
       timestamptz '2024-01-01' + i * interval '30 seconds', (ARRAY['new', 'paid', 'sent', 'done'])[1 + i % 4]
       FROM generate_series(1, ${orders}) i`,
    `SELECT setval('%.orders_id_seq', ${orders})`,
    `INSERT INTO %.events SELECT i, i::bigint * 7919 % 5000, timestamptz '2024-01-01' + i * interval '10 seconds',
       left(md5(i::text) || md5((i + 1)::text) || md5((i + 2)::text) || md5((i + 3)::text), 120),
       jsonb_build_object('kind', (ARRAY['view', 'click', 'buy', 'leave', 'return'])[1 + i % 5], 'amount', i % 1000,
         'source', left(md5((i % 97)::text), 16), 'flags', jsonb_build_array(i % 2, i % 3, i % 5))
       FROM generate_series(1, ${events}) i`,
  ];
}

/** The table that the writers of an application write to. */
export const ledgerTable = (schema: string): string =>
  `CREATE TABLE ${schema}.ledger (
     id bigserial PRIMARY KEY, reference text NOT NULL, updates int NOT NULL DEFAULT 0, at timestamptz NOT NULL DEFAULT now());
   CREATE INDEX ON ${schema}.ledger (reference)`;

/** Returns the statements for one schema. */
export const inSchema = (statements: readonly string[], schema: string): string =>
  statements.map((statement) => statement.replaceAll("%.", `${schema}.`)).join(";\n");

/** Creates the large shard as it would be after some time in use: analyzed, and with a visibility map. */
export async function createBigShard(server: PostgresServer, scale: number): Promise<void> {
  await createShards(server, BIG.shard, BIG.shard, (schema) =>
    inSchema([...TABLES, ...fill(scale), ...INDEXES, ...FOREIGN_KEYS], schema),
  );
  await server.withClient(async (client) => {
    await client.query("VACUUM (ANALYZE, FREEZE)");
  }, DATABASE);
}

/** Returns the bytes of a shard's tables including their indexes. */
export async function sizeOf(server: PostgresServer, schema: string): Promise<number> {
  return server.withClient(async (client) => {
    const { rows: answer } = await client.query<{ bytes: string }>(
      "SELECT coalesce(sum(pg_total_relation_size(oid)), 0) AS bytes FROM pg_class WHERE relnamespace = $1::regnamespace AND relkind = 'r'",
      [schema],
    );
    return Number(answer[0]!.bytes);
  }, DATABASE);
}

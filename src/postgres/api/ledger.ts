/** The table in which each shard remembers what has been applied to it: it belongs to us, not to the schema. */
export const LEDGER_TABLE = "microsharding_migrations_";

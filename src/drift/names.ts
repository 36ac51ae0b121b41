/** Where `shardferry migrate` notes in each shard what has been applied: it belongs to us, not to the schema. */
export const LEDGER_TABLE = "microsharding_migrations_";

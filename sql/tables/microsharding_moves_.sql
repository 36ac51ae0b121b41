-- The book of switches. After a crash, a move reads it to find out on which side of the switch it is.
DO $$
BEGIN
  IF to_regclass(format('%I.microsharding_moves_', current_schema())) IS NULL THEN
    CREATE TABLE microsharding_moves_(
      schema_name text NOT NULL,
      role text NOT NULL CHECK (role IN ('source', 'destination')),
      workflow_id text NOT NULL,
      run_id text NOT NULL,
      peer text NOT NULL,
      epoch bigint NOT NULL,
      state text NOT NULL,
      leftover text,
      switch_lsn pg_lsn,
      switched_at timestamptz NOT NULL DEFAULT clock_timestamp(),
      PRIMARY KEY (schema_name, role),
      CHECK (state = CASE role WHEN 'source' THEN 'left' ELSE 'arrived' END)
    );
  END IF;
END;
$$;

GRANT SELECT ON microsharding_moves_ TO PUBLIC;

COMMENT ON TABLE microsharding_moves_
  IS 'The last switch of each shard that left this database (role source) or arrived in it (role destination).';
COMMENT ON COLUMN microsharding_moves_.schema_name IS 'The shard, by the name that it has while it is active.';
COMMENT ON COLUMN microsharding_moves_.role IS 'What this database was in the move: source or destination.';
COMMENT ON COLUMN microsharding_moves_.workflow_id IS 'The workflow that moved the shard.';
COMMENT ON COLUMN microsharding_moves_.run_id IS 'The run of that workflow.';
COMMENT ON COLUMN microsharding_moves_.peer IS 'The other island of the move, host[:port]/database.';
COMMENT ON COLUMN microsharding_moves_.epoch IS 'How many times the shard has been switched; it only grows.';
COMMENT ON COLUMN microsharding_moves_.state IS 'left on the source, arrived on the destination.';
COMMENT ON COLUMN microsharding_moves_.leftover IS 'The name of the old copy, renamed by the switch.';
COMMENT ON COLUMN microsharding_moves_.switch_lsn
  IS 'On the source, its WAL position that the destination had applied; on the destination, its own position then.';
COMMENT ON COLUMN microsharding_moves_.switched_at IS 'When this row''s side of the switch took place.';

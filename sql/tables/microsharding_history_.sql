-- The book of what was done: one row for each operation that has ended, on every island that took part. Unlike Temporal, it
-- forgets nothing; old rows may be deleted by hand. Nothing but "shardferry history" reads it.
DO $$
BEGIN
  IF to_regclass(format('%I.microsharding_history_', current_schema())) IS NULL THEN
    CREATE TABLE microsharding_history_(
      run_id text NOT NULL,
      kind text NOT NULL,
      workflow_id text NOT NULL,
      name text NOT NULL,
      schemas text[] NOT NULL,
      islands text[] NOT NULL,
      from_island text,
      to_island text,
      started_by text,
      role text NOT NULL DEFAULT session_user,
      started_at timestamptz NOT NULL,
      ended_at timestamptz NOT NULL,
      size_bytes bigint,
      copied_bytes bigint,
      row_count bigint,
      blocked_attempts bigint,
      blocked_longest_ms double precision,
      blocked_total_ms double precision,
      blocked_at_most boolean,
      verified_tables bigint,
      verified_rows bigint,
      outcome text NOT NULL,
      reason_code text,
      reason text,
      -- An activity may write its row a second time.
      PRIMARY KEY (run_id, kind)
    );
  END IF;
END;
$$;

GRANT SELECT ON microsharding_history_ TO PUBLIC;

COMMENT ON TABLE microsharding_history_
  IS 'The operations that have ended and in which this database took part, one row each. Rows may be deleted by hand.';
COMMENT ON COLUMN microsharding_history_.run_id IS 'The run of the workflow.';
COMMENT ON COLUMN microsharding_history_.kind IS 'move, rehearsal, copy, migration, verification and so on.';
COMMENT ON COLUMN microsharding_history_.workflow_id IS 'The workflow.';
COMMENT ON COLUMN microsharding_history_.name IS 'The schema that was moved, copied or compared, or the name of the migration.';
COMMENT ON COLUMN microsharding_history_.schemas IS 'The schemas that it was about, as far as they were known when it ended.';
COMMENT ON COLUMN microsharding_history_.islands IS 'The islands that took part, host[:port]/database; each has this row.';
COMMENT ON COLUMN microsharding_history_.from_island IS 'The source.';
COMMENT ON COLUMN microsharding_history_.to_island IS 'The destination.';
COMMENT ON COLUMN microsharding_history_.started_by IS 'The user and the host of the command that started it.';
COMMENT ON COLUMN microsharding_history_.role IS 'The role of the worker''s session in this database.';
COMMENT ON COLUMN microsharding_history_.started_at IS 'When the workflow started.';
COMMENT ON COLUMN microsharding_history_.ended_at IS 'When its work was done, or undone.';
COMMENT ON COLUMN microsharding_history_.size_bytes IS 'What the schema took on the source''s disk.';
COMMENT ON COLUMN microsharding_history_.copied_bytes IS 'What went through COPY.';
COMMENT ON COLUMN microsharding_history_.row_count IS 'The rows that were copied or compared.';
COMMENT ON COLUMN microsharding_history_.blocked_attempts IS 'How many attempts of the switch have blocked writers.';
COMMENT ON COLUMN microsharding_history_.blocked_longest_ms IS 'For how long the longest of them has.';
COMMENT ON COLUMN microsharding_history_.blocked_total_ms IS 'For how long all of them have.';
COMMENT ON COLUMN microsharding_history_.blocked_at_most IS 'True if these times are upper bounds: nobody has seen the end of an attempt.';
COMMENT ON COLUMN microsharding_history_.verified_tables IS 'How many tables were compared; null if none was.';
COMMENT ON COLUMN microsharding_history_.verified_rows IS 'How many rows were compared.';
COMMENT ON COLUMN microsharding_history_.outcome IS 'What has become of it: moved, copied, changed, same, differs, aborted, failed and so on.';
COMMENT ON COLUMN microsharding_history_.reason_code IS 'Why: the code of an error.';
COMMENT ON COLUMN microsharding_history_.reason IS 'Why, in words without rows.';

-- Created once and never replaced: that would wait for readers on other islands, whose transactions may wait for us.
-- What it shows is decided by the function.
DO $$
BEGIN
  IF to_regclass(format('%I.microsharding_debug_catalog_', current_schema())) IS NULL THEN
    CREATE VIEW microsharding_debug_catalog_ AS
    SELECT island, replica, shard, table_name, column_names, column_types FROM microsharding_debug_list_();
  END IF;
END;
$$;

GRANT SELECT ON microsharding_debug_catalog_ TO PUBLIC;

COMMENT ON VIEW microsharding_debug_catalog_
  IS 'The tables of the active shards of this database, as other islands read them to build their debug views.';

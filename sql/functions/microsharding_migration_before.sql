CREATE OR REPLACE FUNCTION microsharding_migration_before() RETURNS SETOF text
LANGUAGE sql
SET search_path FROM CURRENT
AS $$
  SELECT microsharding_debug_views_drop('public')
$$;

COMMENT ON FUNCTION microsharding_migration_before()
  IS 'Drops the debug views, which would prevent a migration from changing the tables that they read. '
     'Call it before migrations, and microsharding_migration_after() after them.';

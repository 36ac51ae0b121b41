-- Installs or upgrades the SQL API in the first schema in search_path. It can be run again at any time, even inside a
-- transaction, by the owner of the database or any role with CREATE on that schema:
--
--   CREATE SCHEMA IF NOT EXISTS microsharding;
--   SET search_path TO microsharding;
--   \ir ./pg-microsharding-up.sql
--
-- An installation of pg-microsharding in that schema is upgraded; its active shards stay active. The names of the
-- schemas follow the setting microsharding.schema_name_fmt; see functions/microsharding_schema_name_.sql.
--
-- The only psql command in these files is \ir, so that "shardferry install" can also run them.

\ir ./upgrade/begin.sql

\ir ./tables/microsharding_active_.sql
\ir ./tables/microsharding_moves_.sql
\ir ./tables/microsharding_leases_.sql
\ir ./tables/microsharding_history_.sql
\ir ./upgrade/adopt_active_shards.sql

\ir ./functions/microsharding_active_shards_.sql
\ir ./functions/microsharding_list_active_shards.sql
\ir ./functions/microsharding_schema_name_.sql
\ir ./functions/microsharding_schema_names_.sql
\ir ./functions/microsharding_ensure_exist.sql
\ir ./functions/microsharding_ensure_active.sql
\ir ./functions/microsharding_ensure_inactive.sql
\ir ./functions/microsharding_ensure_absent.sql
\ir ./functions/microsharding_do_on_each.sql
\ir ./functions/microsharding_factor_.sql
\ir ./functions/microsharding_set_factor_.sql
\ir ./functions/microsharding_leases_take_.sql
\ir ./functions/microsharding_leases_renew_.sql
\ir ./functions/microsharding_leases_release_.sql
\ir ./functions/microsharding_migrations_create_.sql
\ir ./functions/microsharding_migrations_applied_.sql

\ir ./functions/microsharding_tenant_shard.sql
\ir ./functions/microsharding_tenants_ensure_.sql
\ir ./functions/microsharding_tenant_assign_.sql
\ir ./functions/microsharding_tenant_unpin_.sql

\ir ./functions/microsharding_island_.sql
\ir ./functions/microsharding_debug_list_.sql
\ir ./views/microsharding_debug_catalog_.sql
\ir ./functions/microsharding_debug_mark_.sql
\ir ./functions/microsharding_debug_fdw_schemas_.sql
\ir ./functions/microsharding_debug_view_definitions_.sql
\ir ./functions/microsharding_debug_views_create.sql
\ir ./functions/microsharding_debug_views_drop.sql
\ir ./functions/microsharding_debug_fdw_drop_schemas_.sql
\ir ./functions/microsharding_debug_fdw_drop_server_.sql
\ir ./functions/microsharding_debug_fdw_drop.sql
\ir ./functions/microsharding_debug_fdw_server_.sql
\ir ./functions/microsharding_debug_fdw_open_.sql
\ir ./functions/microsharding_debug_fdw_import_.sql
\ir ./functions/microsharding_debug_fdw_sync_.sql
\ir ./functions/microsharding_debug_fdw_create.sql
\ir ./functions/microsharding_migration_before.sql
\ir ./functions/microsharding_migration_after.sql
\ir ./functions/microsharding_debug_views_refresh_.sql

\ir ./upgrade/end.sql

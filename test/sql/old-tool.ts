import { ident } from "../../src/postgres/quote.ts";

/**
 * Recreates the functions of a pg-microsharding installation: the active shards are a constant in
 * the body of a function, which the other functions replace.
 */
export const oldToolScript = (schema: string, options: { nameBody?: string } = {}): string => `
  SET client_min_messages TO warning;
  CREATE SCHEMA IF NOT EXISTS ${ident(schema)};
  SET search_path TO ${ident(schema)};

  DO $do$ BEGIN
    CREATE FUNCTION microsharding_active_shards_() RETURNS text[] LANGUAGE sql IMMUTABLE SET search_path FROM CURRENT
    AS $$ SELECT '{}'::text[]; $$;
  EXCEPTION WHEN duplicate_function THEN NULL;
  END $do$;

  CREATE OR REPLACE FUNCTION microsharding_schema_name_(shard integer) RETURNS text
  LANGUAGE sql SET search_path FROM CURRENT
  AS $$ ${options.nameBody ?? "SELECT 'sh' || lpad($1::text, 4, '0')"} $$;

  CREATE OR REPLACE FUNCTION microsharding_list_active_shards() RETURNS regnamespace[]
  LANGUAGE sql SET search_path FROM CURRENT
  AS $$
    SELECT coalesce(array_agg(oid::regnamespace ORDER BY nspname), '{}') FROM pg_namespace
    WHERE nspname = ANY (microsharding_active_shards_())
  $$;

  CREATE OR REPLACE FUNCTION microsharding_ensure_active_shards_(shards text[] = NULL) RETURNS void
  LANGUAGE plpgsql SET search_path FROM CURRENT
  AS $$
  BEGIN
    EXECUTE format(
      'CREATE OR REPLACE FUNCTION microsharding_active_shards_() RETURNS text[] LANGUAGE sql IMMUTABLE '
      'SET search_path FROM CURRENT AS $body$ SELECT %L::text[]; $body$',
      coalesce(shards, microsharding_list_active_shards()::text[])
    );
  END $$;

  CREATE OR REPLACE FUNCTION microsharding_ensure_exist(shard_from integer, shard_to integer = NULL)
  RETURNS SETOF regnamespace LANGUAGE plpgsql SET search_path FROM CURRENT
  AS $$
  DECLARE shard text;
  BEGIN
    FOR shard IN SELECT microsharding_schema_name_(n) FROM generate_series(shard_from, coalesce(shard_to, shard_from)) n LOOP
      EXECUTE format('CREATE SCHEMA IF NOT EXISTS %I', shard);
      RETURN NEXT shard::regnamespace;
    END LOOP;
  END $$;

  CREATE OR REPLACE FUNCTION microsharding_ensure_active(shard_from integer, shard_to integer = NULL)
  RETURNS SETOF regnamespace LANGUAGE plpgsql SET search_path FROM CURRENT
  AS $$
  DECLARE names text[] := ARRAY(
    SELECT microsharding_schema_name_(n) FROM generate_series(shard_from, coalesce(shard_to, shard_from)) n
  );
  BEGIN
    PERFORM microsharding_ensure_active_shards_(microsharding_list_active_shards()::text[] || names);
    RETURN QUERY SELECT unnest(names)::regnamespace;
  END $$;

  CREATE OR REPLACE FUNCTION microsharding_ensure_inactive(shard_from integer, shard_to integer = NULL)
  RETURNS SETOF regnamespace LANGUAGE plpgsql SET search_path FROM CURRENT
  AS $$
  BEGIN
    PERFORM microsharding_ensure_active_shards_(ARRAY(
      SELECT unnest(microsharding_list_active_shards())::text EXCEPT
      SELECT microsharding_schema_name_(n) FROM generate_series(shard_from, coalesce(shard_to, shard_from)) n
    ));
  END $$;

  CREATE OR REPLACE FUNCTION microsharding_debug_views_drop(dst_schema text = 'public') RETURNS SETOF text
  LANGUAGE sql SET search_path FROM CURRENT AS $$ SELECT ''::text WHERE false $$;
`;

CREATE OR REPLACE FUNCTION microsharding_debug_fdw_server_(
  dst_prefix text,
  src_host text
) RETURNS text
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
  -- host, host:port, [IPv6]:port, each with or without /database.
  parts text[] := regexp_match(src_host, '^(?:\[([^]]+)\]|([^]:/@[\s]+)|([^]/@[\s]*:[^]/@[\s]*:[^]/@[\s]*))(?::(\d+))?(?:/([^/@\s]+))?$');
  server text := dst_prefix || '_' || regexp_replace(src_host, '[^a-zA-Z0-9]+', '_', 'g');
  password text := NULLIF(current_setting('microsharding.fdw_password', true), '');
  target text;
  existing oid;
BEGIN
  IF parts IS NULL THEN
    -- Not repeated in the message: it may be a DSN with a password.
    RAISE EXCEPTION 'a host for the debug views must look like host, host:port or host:port/database'
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF octet_length(server) > 63 THEN
    server := left(server, 54) || '_' || left(md5(server), 8);
  END IF;
  IF NOT EXISTS (SELECT 1 FROM pg_foreign_data_wrapper WHERE fdwname = 'postgres_fdw') THEN
    BEGIN
      CREATE EXTENSION postgres_fdw SCHEMA public;
    EXCEPTION
      WHEN insufficient_privilege OR undefined_file OR feature_not_supported THEN
        RAISE EXCEPTION 'debug views over several hosts need the extension postgres_fdw: %', SQLERRM
          USING ERRCODE = 'object_not_in_prerequisite_state', HINT = format(
            'As a superuser: CREATE EXTENSION postgres_fdw; GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw TO %I;', current_user
          );
    END;
  END IF;

  target := format(
    'host %L, port %L, dbname %L',
    COALESCE(parts[1], parts[2], parts[3]), COALESCE(parts[4], current_setting('port')), COALESCE(parts[5], current_database())
  );
  SELECT oid INTO existing FROM pg_foreign_server WHERE srvname = server;
  IF existing IS NULL THEN
    EXECUTE format(
      'CREATE SERVER %I FOREIGN DATA WRAPPER postgres_fdw '
      -- No deadlock detector sees a circle of locks over several servers: lock_timeout ends it.
      'OPTIONS (%s, connect_timeout ''10'', options ''-c lock_timeout=10s'', fetch_size ''1000'', updatable ''false'', '
      'async_capable ''true'')',
      server, target
    );
    EXECUTE format('COMMENT ON SERVER %I IS %L', server, 'microsharding:');
  ELSIF NOT microsharding_debug_mark_(obj_description(existing, 'pg_foreign_server')) THEN
    RAISE EXCEPTION 'the foreign server % exists and was not made for debug views', server
      USING ERRCODE = 'duplicate_object';
  ELSE
    EXECUTE format('ALTER SERVER %I OPTIONS (SET %s)', server, replace(replace(target, ', port ', ', SET port '), ', dbname ', ', SET dbname '));
  END IF;

  IF password IS NOT NULL AND EXISTS (SELECT 1 FROM pg_user_mappings m WHERE m.srvname = server AND m.usename = current_user) THEN
    EXECUTE format('DROP USER MAPPING FOR CURRENT_USER SERVER %I', server);
  END IF;
  IF NOT EXISTS (SELECT 1 FROM pg_user_mappings m WHERE m.srvname = server AND m.usename = current_user) THEN
    BEGIN
      EXECUTE format(
        'CREATE USER MAPPING FOR CURRENT_USER SERVER %I OPTIONS (user %L%s)',
        server,
        COALESCE(NULLIF(current_setting('microsharding.fdw_user', true), ''), current_user),
        ', password ' || quote_literal(password)
      );
    EXCEPTION
      -- Raised anew: the context of the original error would show the statement with the password.
      WHEN OTHERS THEN RAISE EXCEPTION 'user mapping for the foreign server %: %', server, SQLERRM USING ERRCODE = SQLSTATE;
    END;
  END IF;
  RETURN server;
END;
$$;

COMMENT ON FUNCTION microsharding_debug_fdw_server_(text, text)
  IS 'Creates a foreign server for a host, with a user mapping for the current user, unless they exist, and returns '
     'its name. The settings microsharding.fdw_user and microsharding.fdw_password say who connects; by default the '
     'current user, without a password, which postgres_fdw allows only for superusers.';

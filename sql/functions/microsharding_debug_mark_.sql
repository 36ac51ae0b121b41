-- Without a SET clause, so that it can be inlined.
CREATE OR REPLACE FUNCTION microsharding_debug_mark_(
  comment text
) RETURNS boolean
LANGUAGE sql IMMUTABLE
AS $$
  SELECT COALESCE($1 ~ '^(pg-)?(micro)?sharding:', false)
$$;

COMMENT ON FUNCTION microsharding_debug_mark_(text)
  IS 'Tells from the comment on a view, foreign server or schema whether it was created for the debug views, '
     'by this or an older version, and so may be replaced and dropped.';

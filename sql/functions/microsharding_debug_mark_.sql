-- Without a SET clause, so that it is inlined.
CREATE OR REPLACE FUNCTION microsharding_debug_mark_(
  comment text
) RETURNS boolean
LANGUAGE sql IMMUTABLE
AS $$
  SELECT COALESCE($1 ~ '^(pg-)?(micro)?sharding:', false)
$$;

COMMENT ON FUNCTION microsharding_debug_mark_(text)
  IS 'Tells by the comment on a view, foreign server or schema whether it was made for the debug views, '
     'by this or by an older version, and so may be replaced and dropped.';

-- Roles of the zoo, on every server; several test files may create them concurrently.
DO $$
DECLARE
  role text;
BEGIN
  FOREACH role IN ARRAY ARRAY['zoo_owner', 'zoo_reader', 'zoo "Writer"', 'zoo.auditor'] LOOP
    BEGIN
      EXECUTE format('CREATE ROLE %I NOLOGIN', role);
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
      NULL;
    END;
  END LOOP;
END $$;

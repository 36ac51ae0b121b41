CREATE TABLE nulls_once (id serial PRIMARY KEY, a integer, UNIQUE NULLS NOT DISTINCT (a));
INSERT INTO nulls_once (a) VALUES (1), (NULL);
CREATE UNIQUE INDEX nulls_once_index ON nulls_once (a, id) NULLS NOT DISTINCT WHERE id > 0;
CREATE VIEW invoker WITH (security_invoker) AS SELECT * FROM person;
CREATE TABLE set_null_some (id serial PRIMARY KEY, team integer, other integer,
  FOREIGN KEY (team) REFERENCES team ON DELETE SET NULL (team));
CREATE UNLOGGED SEQUENCE seq_unlogged;
SELECT nextval('seq_unlogged') FROM generate_series(1, 5);

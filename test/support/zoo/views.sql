CREATE VIEW sad_people AS SELECT id, name, feels FROM person WHERE feels = 'sad' WITH LOCAL CHECK OPTION;
CREATE VIEW sad_names WITH (security_barrier) AS SELECT name || '!' AS name, id FROM sad_people;
-- Depends on the primary key: can only exist with it.
CREATE VIEW grouped AS SELECT p.*, count(*) FROM person p JOIN team t ON t.id = p.id GROUP BY p.id;
CREATE VIEW on_grouped AS SELECT id, count FROM grouped;
CREATE RECURSIVE VIEW bosses (id, depth) AS
  SELECT id, 0 FROM team WHERE boss IS NULL UNION ALL SELECT t.id, b.depth + 1 FROM team t JOIN bosses b ON b.id = t.boss;
CREATE VIEW with_outside AS SELECT l.meaning, p.id FROM person p LEFT JOIN "other Schema".lookup l ON l.code = p.name;
ALTER VIEW sad_people ALTER COLUMN feels SET DEFAULT 'sad';
COMMENT ON VIEW sad_people IS 'sad';
COMMENT ON COLUMN sad_people.name IS 'sad name';

CREATE MATERIALIZED VIEW mat_plain WITH (fillfactor = 75) AS SELECT wheels, count(*) AS n FROM vehicle GROUP BY wheels;
CREATE UNIQUE INDEX mat_plain_key ON mat_plain (wheels);
-- Its name sorts before that of the view from which it reads.
CREATE MATERIALIZED VIEW a_mat_chained AS SELECT sum(n) AS total FROM mat_plain;
CREATE VIEW between_mats AS SELECT total + 1 AS total FROM a_mat_chained;
CREATE MATERIALIZED VIEW "a mat.on ""view""" AS SELECT total FROM between_mats;
CREATE MATERIALIZED VIEW mat_empty AS SELECT id FROM vehicle WITH NO DATA;
CREATE INDEX mat_empty_index ON mat_empty (id);
CREATE MATERIALIZED VIEW mat_grouped AS SELECT v.id, v.wheels, count(*) FROM vehicle v GROUP BY v.id;
CREATE UNIQUE INDEX mat_grouped_key ON mat_grouped (id);
COMMENT ON MATERIALIZED VIEW mat_plain IS 'wheels';

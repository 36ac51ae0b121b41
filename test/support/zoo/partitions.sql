CREATE SEQUENCE event_ids;
CREATE TABLE event (
  id bigint NOT NULL DEFAULT nextval('event_ids'),
  at date NOT NULL,
  kind text NOT NULL DEFAULT 'a',
  body text,
  CHECK (id > 0),
  PRIMARY KEY (id, at, kind)
) PARTITION BY RANGE (at);
CREATE TABLE event_2020 PARTITION OF event FOR VALUES FROM ('2020-01-01') TO ('2021-01-01') WITH (fillfactor = 80);
-- Attached, with its columns in a different order and one dropped.
CREATE TABLE event_2021 (body text, gone integer, kind text NOT NULL DEFAULT 'b', at date NOT NULL, id bigint NOT NULL,
  CONSTRAINT event_id_check CHECK (id > 0));
ALTER TABLE event_2021 DROP COLUMN gone;
ALTER TABLE event_2021 ADD CONSTRAINT "own key" PRIMARY KEY (id, at, kind);
ALTER TABLE event ATTACH PARTITION event_2021 FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
CREATE TABLE event_2022 PARTITION OF event FOR VALUES FROM ('2022-01-01') TO ('2023-01-01') PARTITION BY LIST (kind);
CREATE TABLE event_2022_a PARTITION OF event_2022 FOR VALUES IN ('a');
CREATE TABLE event_2022_rest PARTITION OF event_2022 DEFAULT PARTITION BY HASH (id);
CREATE TABLE event_2022_rest_0 PARTITION OF event_2022_rest FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE event_2022_rest_1 PARTITION OF event_2022_rest FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE event_default PARTITION OF event DEFAULT;
ALTER TABLE event_2020 ALTER COLUMN body SET DEFAULT 'of 2020';
CREATE INDEX event_kind ON event (kind, at);
CREATE INDEX event_only ON ONLY event (body);
CREATE INDEX event_body_2020 ON event_2020 (body);
ALTER INDEX event_only ATTACH PARTITION event_body_2020;
CREATE UNIQUE INDEX event_local ON event_2021 (at, id) WHERE kind = 'b';
INSERT INTO event (at, kind, body)
SELECT date '2019-06-01' + i * 12, chr(97 + i % 4), 'body ' || i FROM generate_series(1, 150) i;

CREATE TABLE note (
  id integer NOT NULL, event bigint, event_at date, kind text, text text,
  FOREIGN KEY (event, event_at, kind) REFERENCES event (id, at, kind)
) PARTITION BY LIST (id);
CREATE TABLE note_1 PARTITION OF note FOR VALUES IN (1);
CREATE TABLE note_2 PARTITION OF note FOR VALUES IN (2);
INSERT INTO note SELECT 1 + id % 2, id, at, kind, 'note' FROM event;
-- A whole tree without a key and without rows, and one with a key that is not its replica identity.
CREATE TABLE keyless_parts (a integer, b mood) PARTITION BY RANGE (a, b);
CREATE TABLE keyless_parts_low PARTITION OF keyless_parts FOR VALUES FROM (MINVALUE, MINVALUE) TO (10, 'sad');
CREATE TABLE keyless_parts_high PARTITION OF keyless_parts FOR VALUES FROM (10, 'sad') TO (MAXVALUE, MAXVALUE);
INSERT INTO keyless_parts SELECT i, 'ok' FROM generate_series(1, 20) i;
CREATE TABLE childless (a integer PRIMARY KEY) PARTITION BY HASH (a);
COMMENT ON TABLE event_2020 IS 'the year 2020';

CREATE TABLE vehicle (id integer PRIMARY KEY, wheels integer DEFAULT 4, CHECK (wheels >= 0));
CREATE TABLE car (doors integer, PRIMARY KEY (id)) INHERITS (vehicle);
CREATE TABLE boat (depth numeric) INHERITS (vehicle);
CREATE TABLE amphibian (wings boolean) INHERITS (car, boat);
ALTER TABLE boat ALTER COLUMN wheels SET DEFAULT 0;
INSERT INTO vehicle SELECT i FROM generate_series(1, 5) i;
INSERT INTO car SELECT i, 4, 3 FROM generate_series(11, 15) i;
INSERT INTO boat SELECT i, 0, 1.5 FROM generate_series(21, 25) i;
INSERT INTO amphibian (id, wings) VALUES (31, true);
CREATE TABLE of_type OF address (PRIMARY KEY (street));
INSERT INTO of_type VALUES ('s', 1, '{a}');

CREATE TABLE team (
  id integer PRIMARY KEY,
  name text NOT NULL,
  boss integer CONSTRAINT self_reference REFERENCES team,
  captain bigint,
  low integer, high integer,
  during tsrange,
  place integer,
  CONSTRAINT "check; --" CHECK (low < high OR name = 'a;b--c'),
  CONSTRAINT no_inherit CHECK (low > 0) NO INHERIT,
  CONSTRAINT unique_name UNIQUE (name) INCLUDE (low) WITH (fillfactor = 60),
  CONSTRAINT unique_pair UNIQUE (low, high),
  CONSTRAINT unique_later UNIQUE (place, low) DEFERRABLE INITIALLY DEFERRED,
  CONSTRAINT no_overlap EXCLUDE USING gist (place WITH =, during WITH &&) WHERE (place > 0) DEFERRABLE
);
CREATE TABLE member (
  id bigserial PRIMARY KEY,
  team integer NOT NULL REFERENCES team ON DELETE CASCADE ON UPDATE CASCADE,
  low integer, high integer,
  CONSTRAINT composite_key FOREIGN KEY (low, high) REFERENCES team (low, high) MATCH FULL DEFERRABLE INITIALLY DEFERRED
);
-- A cycle: each refers to the other.
ALTER TABLE team ADD CONSTRAINT circular FOREIGN KEY (captain) REFERENCES member ON DELETE SET NULL DEFERRABLE;
INSERT INTO team (id, name, boss, low, high, during, place)
SELECT i, 'team ' || i, nullif(i - 1, 0), i, i + 1, tsrange(now()::timestamp + i * interval '1 day', NULL), i FROM generate_series(1, 20) i;
INSERT INTO member (team, low, high) SELECT i, i, i + 1 FROM generate_series(1, 20) i;
UPDATE team SET captain = id;
-- Not valid, and with good reason: existing rows violate them.
INSERT INTO team (id, name, low, high) VALUES (100, 'odd', 5, 9), (101, 'long name indeed', 6, 9);
ALTER TABLE team ADD CONSTRAINT short_name CHECK (length(name) < 10) NOT VALID;
ALTER TABLE person ADD COLUMN lost integer DEFAULT 12345;
ALTER TABLE person ALTER COLUMN lost DROP DEFAULT;
ALTER TABLE person ADD CONSTRAINT orphan FOREIGN KEY (lost) REFERENCES team NOT VALID;
COMMENT ON CONSTRAINT "check; --" ON team IS 'a check';
COMMENT ON CONSTRAINT circular ON team IS 'round';

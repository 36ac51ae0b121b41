CREATE TABLE identity_parts (id bigint GENERATED ALWAYS AS IDENTITY, at date) PARTITION BY RANGE (at);
CREATE TABLE identity_parts_all PARTITION OF identity_parts DEFAULT;
INSERT INTO identity_parts (at) SELECT '2020-01-01' FROM generate_series(1, 9);
CREATE TABLE booked (room integer, during tsrange, EXCLUDE USING gist (room WITH =, during WITH &&)) PARTITION BY LIST (room);
CREATE TABLE booked_1 PARTITION OF booked FOR VALUES IN (1);
INSERT INTO booked VALUES (1, '[2020-01-01, 2020-01-02)');
GRANT MAINTAIN ON person TO zoo_reader;

CREATE TABLE "select" ("from" integer PRIMARY KEY, "user" text DEFAULT 'order', "Order" integer CHECK ("Order" > 0), "group" "Weird.Enum");
INSERT INTO "select" SELECT i, 'u', i, '' FROM generate_series(1, 20) i;
CREATE TABLE "Upper Case.dots" ("a b" integer PRIMARY KEY, "c""d" text, "e.f" text, " " text, "$1" text, "ünï☃" text, "%I%s%%" text);
INSERT INTO "Upper Case.dots" SELECT i, 'c', 'e', ' ', '$', '☃', '%' FROM generate_series(1, 20) i;
CREATE INDEX "Upper Case.index" ON "Upper Case.dots" ("e.f", "c""d") WHERE "$1" <> '';
CREATE TABLE "quotes""in""it" ("id" serial PRIMARY KEY, "a'b\c" text DEFAULT E'\\''');
INSERT INTO "quotes""in""it" ("a'b\c") SELECT E'\\.' FROM generate_series(1, 20);
CREATE TABLE "new
line; DROP TABLE ""person""; --" ("a
b" integer PRIMARY KEY, c text DEFAULT 'x
-- y');
INSERT INTO "new
line; DROP TABLE ""person""; --" VALUES (1), (2);
CREATE TABLE a234567890123456789012345678901234567890123456789012345678901xy (
  b234567890123456789012345678901234567890123456789012345678901xy serial PRIMARY KEY,
  c234567890123456789012345678901234567890123456789012345678901xy text UNIQUE
);
INSERT INTO a234567890123456789012345678901234567890123456789012345678901xy (c234567890123456789012345678901234567890123456789012345678901xy)
SELECT 'c' || i FROM generate_series(1, 20) i;
-- Told apart only by who has the space: table "x" with trigger "y z", and table "x y" with trigger "z".
CREATE TABLE x (id integer, CONSTRAINT "y z" PRIMARY KEY (id), CONSTRAINT "y c" CHECK (id <> 7));
CREATE TABLE "x y" (id integer, CONSTRAINT z PRIMARY KEY (id));
ALTER TABLE x ADD CONSTRAINT "y f" FOREIGN KEY (id) REFERENCES x;
ALTER TABLE "x y" ADD CONSTRAINT f FOREIGN KEY (id) REFERENCES x;
CREATE TRIGGER "y t" AFTER INSERT ON x EXECUTE FUNCTION note_firing();
CREATE TRIGGER t AFTER INSERT ON "x y" EXECUTE FUNCTION note_firing();
CREATE POLICY "y p" ON x USING (true);
CREATE POLICY p ON "x y" USING (false);
CREATE RULE "y r" AS ON DELETE TO x DO ALSO NOTHING;
CREATE RULE r AS ON DELETE TO "x y" DO ALSO NOTHING;
COMMENT ON TABLE "select" IS 'reserved';
COMMENT ON COLUMN "Upper Case.dots"."c""d" IS 'quoted';

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { ident } from "../../src/postgres/quote.ts";
import { activePlaces, createShard, createWorld, resultOf, untilPaused } from "../support/world.ts";

/** Settings of a destination under which workers of a subscription store different values from those they are sent. */
const HARMFUL = ["client_encoding = latin1", "array_nulls = off", "xmloption = document"];

describe("a destination whose database changes rows in transit", { timeout: 120_000 }, () => {
  it("is refused with the remedy, which makes it acceptable", async () => {
    const world = await createWorld();
    const { a, b } = world;
    await createShard(a, 42, "CREATE TABLE sh0042.t (id int PRIMARY KEY, name text, tags text[])");
    await world.startWorker();
    for (const setting of HARMFUL) await b.rows(`ALTER DATABASE ${ident(b.name)} SET ${setting}`);
    await b.rows(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );

    const refused = await resultOf(await world.startMove()).then(
      () => "it was moved",
      (error: Error) => error.message,
    );
    for (const setting of HARMFUL) assert.ok(refused.includes(setting), refused);
    assert.deepEqual(await activePlaces("sh0042", a, b), [a.name]);

    const remedies = refused.match(/ALTER ROLE .*? SET \w+ = '\w+'/g) ?? [];
    assert.equal(remedies.length, HARMFUL.length);
    for (const remedy of remedies) await b.rows(remedy);
    await b.rows(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
    const handle = await world.startMove({ wait: true });
    await untilPaused(handle);
    await a.rows("INSERT INTO sh0042.t VALUES (1, 'ü', ARRAY['a', NULL])");
    await handle.signal("confirm");
    await resultOf(handle);
    assert.deepEqual(await b.rows("SELECT name, tags::text FROM sh0042.t"), [
      { name: "ü", tags: "{a,NULL}" },
    ]);
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { UsageError } from "../../../src/errors.ts";
import { libpqEnv, parseDsn, parseDsnList, toConninfo, toUrl } from "../../../src/postgres/islands/dsn.ts";
import { subscriptionConninfo } from "../../../src/postgres/replication/conninfo.ts";

const ENV = { PGUSER: "joe", PGPASSWORD: "from-env", PGDATABASE: "main", HOME: "/nowhere" };

describe("a form that only libpq understands", () => {
  for (const text of [
    "host=db1 port=6432 dbname=app",
    "host = db1 password = s3cret",
    "dbname=app,host=db1",
    "postgresql://ann:s3cret@db1:5432,db2:5433/app",
    "postgresql://db1,db2/app",
    "postgresql:///app?host=db1,db2&sslmode=require",
    "postgresql://db1/app?hostaddr=10.0.0.1,10.0.0.2",
  ])
    it(`is refused and not taken apart: ${text}`, () => {
      assert.throws(
        () => parseDsnList(text, ENV),
        (error: unknown) =>
          error instanceof UsageError &&
          /keywords and values|several hosts/.test(error.message) &&
          !error.message.includes("s3cret"),
      );
    });

  it("is not suspected in lists of DSNs", () => {
    for (const text of [
      "postgresql://db1/app,db2/app",
      "postgresql://db1,postgresql://db2",
      "db1,db2",
      "db1/app,db2:5433/app",
      "postgresql://db1/app?sslmode=require,db2",
      "postgresql://db1, db2",
    ])
      assert.equal(parseDsnList(text, ENV).length, 2, text);
  });
});

describe("the files that the server of a destination uses for TLS", () => {
  const OWN = "sslmode=verify-full&sslrootcert=/me/ca.crt&sslcert=/me/c.crt&sslkey=/me/c.key&sslpassword=p";
  const conninfo = (query: string): string =>
    subscriptionConninfo(parseDsn(`postgresql://ann@db1/app?${query}`, { HOME: "/nowhere" }), 17, "x");

  it("are those of the DSN, unless it names others", () => {
    assert.match(conninfo(OWN), /sslpassword='p' .*sslrootcert='\/me\/ca\.crt'/);
    const others =
      "&subscription_sslrootcert=/server/ca.crt&subscription_sslcert=&subscription_sslkey=&subscription_sslmode=verify-ca";
    const text = conninfo(OWN + others);
    assert.match(text, /sslmode='verify-ca'/);
    assert.match(text, /sslrootcert='\/server\/ca\.crt'/);
    assert.doesNotMatch(text, /subscription|\/me\/|sslcert|sslkey|sslpassword/);
  });

  it("stay with the DSN wherever it is passed on, and are nothing to our own sessions", () => {
    const dsn = parseDsn("postgresql://ann@db1/app?subscription_sslrootcert=/s&subscription_sslcert=", {});
    assert.deepEqual(parseDsn(toUrl(dsn), {}).params, dsn.params);
    assert.doesNotMatch(toConninfo(dsn), /subscription/);
    assert.deepEqual(
      Object.keys(libpqEnv(dsn)).filter((name) => /SSL/.test(name)),
      [],
    );
    assert.throws(() => parseDsn("postgresql://db1/app?subscription_host=x", ENV), UsageError);
    assert.throws(() => parseDsn("postgresql://db1/app?subscription_sslmode=x", ENV), UsageError);
  });
});

import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { inspect } from "node:util";

import { UsageError } from "../../../src/errors.ts";
import { toClientConfig } from "../../../src/postgres/islands/client-config.ts";
import {
  type Dsn,
  libpqEnv,
  parseDsn,
  parseDsnList,
  toConninfo,
  toUrl,
} from "../../../src/postgres/islands/dsn.ts";
import { redact } from "../../../src/postgres/islands/redact.ts";

const ENV = { PGUSER: "joe", PGPASSWORD: "from-env", PGDATABASE: "main", HOME: "/nowhere" };

/** The parts of a DSN, without what makes it printable. */
const parts = ({ name, host, port, user, password, database, params }: Dsn): object => ({
  name,
  host,
  port,
  user,
  password,
  database,
  params,
});

describe("parseDsn", () => {
  it("reads every part of a URL", () => {
    const dsn = parseDsn("postgresql://ann:s%2Fe%2Cc%40t@DB1.example:6432/app%20x?sslmode=require", ENV);
    assert.deepEqual(parts(dsn), {
      name: "db1.example:6432/app x",
      host: "DB1.example",
      port: 6432,
      user: "ann",
      password: "s/e,c@t",
      database: "app x",
      params: { sslmode: "require" },
    });
  });

  it("reads host:port/db, and takes missing parts from the environment", () => {
    for (const [text, name, user, password] of [
      ["db1", "db1/main", "joe", "from-env"],
      ["db1:6432", "db1:6432/main", "joe", "from-env"],
      ["db1/app", "db1/app", "joe", "from-env"],
      ["db1:6432/app", "db1:6432/app", "joe", "from-env"],
      ["ann:secret@db1/app", "db1/app", "ann", "secret"],
      ["postgres://db1", "db1/main", "joe", "from-env"],
      ["postgresql://ann@db1/", "db1/main", "ann", "from-env"],
    ] as const) {
      const dsn = parseDsn(text, ENV);
      assert.deepEqual([dsn.name, dsn.user, dsn.password], [name, user, password], text);
    }
  });

  it("reads IPv6 addresses and socket folders", () => {
    const names = [
      "[::1]:6432/app",
      "::1",
      "/run/postgresql",
      "/run/pg:6432/app",
      "postgresql://%2Frun%2Fpg/app",
    ];
    assert.deepEqual(
      names.map((text) => parseDsn(text, ENV).name),
      ["[::1]:6432/app", "[::1]/main", "/run/postgresql/main", "/run/pg:6432/app", "/run/pg/app"],
    );
  });

  it("understands the environment of libpq, but lets the DSN override it", () => {
    const env = { ...ENV, PGPORT: "6000", PGSSLMODE: "disable", PGCONNECT_TIMEOUT: "7", PGAPPNAME: "" };
    assert.deepEqual(parseDsn("db1", env).params, { connect_timeout: "7", sslmode: "disable" });
    assert.equal(parseDsn("db1", env).port, 6000);
    assert.equal(parseDsn("postgresql://db1:1/x?sslmode=require", env).params["sslmode"], "require");
    // PGOPTIONS is for the sessions that build indexes, options in a DSN are for all.
    assert.deepEqual(parseDsn("db1", { ...ENV, PGOPTIONS: "-c work_mem=1MB" }).params, {});
    assert.equal(parseDsn("db1?options=-c%20a%3D1", ENV).params["options"], "-c a=1");
  });

  it("refuses what it does not understand, and never shows a password", () => {
    for (const text of [
      "postgresql://ann:top/secret@db1/app",
      "postgresql://ann:secret@db1:port/app",
      "postgresql://ann:%zzsecret@db1/app",
      "mysql://ann:secret@db1/app",
      "db1?nonsense=secret",
      "ann:secret@db1?sslmode=maybe",
      "postgresql://ann:secret@db1%2Cdb2/app",
    ]) {
      assert.throws(
        () => parseDsn(text, ENV),
        (error) => error instanceof UsageError && !error.message.includes("secret"),
        text,
      );
    }
  });

  it("shows only its name when it is printed or turned into JSON", () => {
    const dsn = parseDsn("ann:secret@db1/app", ENV);
    assert.equal(`${inspect({ dsn })} ${JSON.stringify({ dsn })}`, '{ dsn: Dsn(db1/app) } {"dsn":"db1/app"}');
  });
});

describe("parseDsnList", () => {
  it("refuses a list of ports that does not fit the hosts, instead of losing an island", () => {
    assert.throws(
      () => parseDsnList("db1,db2", { ...ENV, PGPORT: "1,2,3" }),
      /PGPORT has 3 ports for 2 hosts/,
    );
    assert.throws(() => parseDsnList("db1", { ...ENV, PGPORT: "1,2" }), UsageError);
  });

  it("splits at commas and white space, and pairs a list of ports", () => {
    const names = parseDsnList("db1, db2:1\n postgresql://db3/x,", ENV).map(({ name }) => name);
    assert.deepEqual(names, ["db1/main", "db2:1/main", "db3/x"]);
    const paired = parseDsnList("db1,db2", { ...ENV, PGPORT: "1001,1002" }).map(({ name }) => name);
    assert.deepEqual(paired, ["db1:1001/main", "db2:1002/main"]);
  });

  it("does not send all of several hosts to the one address of PGHOSTADDR", () => {
    const env = { ...ENV, PGHOSTADDR: "10.0.0.1" };
    assert.equal(parseDsn("db1", env).params["hostaddr"], "10.0.0.1");
    assert.deepEqual(
      parseDsnList("db1,db2", env).map(({ params }) => params),
      [{}, {}],
    );
  });

  it("names the position of what it does not understand", () => {
    assert.throws(
      () => parseDsnList("db1,ann:secret@db2:x,db3", ENV),
      /^UsageError: DSN 2 of 3: (?!.*secret)/,
    );
  });
});

describe("files of libpq", () => {
  let home = "";
  before(() => {
    home = mkdtempSync(join(tmpdir(), "home-"));
    writeFileSync(
      join(home, ".pgpass"),
      [
        "# comment",
        "other:*:*:*:wrong",
        "db1:5432:a\\:b:joe:with\\:colon",
        "localhost:*:*:*:socket",
        "db1:*:*:joe:any",
      ].join("\n"),
      { mode: 0o600 },
    );
    writeFileSync(
      join(home, ".pg_service.conf"),
      "[first]\nhost=svc1\n\n[second]\n# comment\nhost = svc2\nport=6001\nuser=sue\nsslmode=disable\n",
    );
  });
  after(() => rmSync(home, { recursive: true }));

  it("finds the password in the first matching line of ~/.pgpass", () => {
    const env = { PGUSER: "joe", HOME: home };
    assert.equal(parseDsn("db1/a%3Ab", env).password, "with:colon");
    assert.equal(parseDsn("db1/other", env).password, "any");
    assert.equal(parseDsn("/run/postgresql", env).password, "socket");
    assert.equal(parseDsn("db2", env).password, undefined);
    assert.equal(parseDsn("db1/other", { ...env, PGPASSWORD: "first" }).password, "first");
  });

  it("ignores a password file that others can read", () => {
    chmodSync(join(home, ".pgpass"), 0o644);
    assert.equal(parseDsn("db1/other", { PGUSER: "joe", HOME: home }).password, undefined);
    chmodSync(join(home, ".pgpass"), 0o600);
  });

  it("takes a connection service between the DSN and the environment", () => {
    const env = { ...ENV, HOME: home, PGSERVICE: "second" };
    const dsn = parseDsn("postgresql:///app", env);
    assert.deepEqual([dsn.name, dsn.user, dsn.params["sslmode"]], ["svc2:6001/app", "sue", "disable"]);
    assert.throws(
      () => parseDsn("db1", { ...env, PGSERVICE: "third" }),
      /service "third" is not defined in any/,
    );
  });
});

describe("what a DSN is turned into", () => {
  const dsn = parseDsn("postgresql://ann:it's%5C@[::1]:6432/a%2Cb?sslmode=disable&connect_timeout=3", ENV);

  it("quotes a conninfo string, and leaves the password out when told to", () => {
    assert.equal(
      toConninfo(dsn, { application_name: "x y" }),
      "host='::1' port='6432' user='ann' password='it\\'s\\\\' dbname='a,b' connect_timeout='3' sslmode='disable' application_name='x y'",
    );
    assert.doesNotMatch(toConninfo(dsn, { password: undefined }), /password|it/);
  });

  it("gives a child process these variables of libpq and no others", () => {
    const base = {
      PATH: "/bin",
      PGSERVICE: "other",
      PGOPTIONS: "-c x=1",
      PGPASSWORD: "other",
      PGHOSTADDR: "1.1.1.1",
    };
    assert.deepEqual(libpqEnv(dsn, base), {
      PATH: "/bin",
      PGHOST: "::1",
      PGPORT: "6432",
      PGUSER: "ann",
      PGPASSWORD: "it's\\",
      PGDATABASE: "a,b",
      PGCONNECT_TIMEOUT: "3",
      PGSSLMODE: "disable",
    });
  });

  it("survives a round trip through a list of URLs", () => {
    const odd = parseDsn("postgresql://a%40b:p%2C%20w@%2Frun%2Fpg:1/d%3F%23?options=-c%20a%3Db%2Cc", {});
    const [first, second] = parseDsnList([dsn, odd].map(toUrl).join(","), {});
    assert.deepEqual([parts(first!), parts(second!)], [parts(dsn), parts(odd)]);
  });

  it("takes nothing from the environment of this process", () => {
    process.env["PGPASSWORD"] = "of the process";
    process.env["PGOPTIONS"] = "-c work_mem=1MB";
    try {
      const config = toClientConfig(parseDsn("db1", { HOME: "/nowhere", PGUSER: "joe" }));
      assert.equal(typeof config.password, "function");
      assert.equal(config.options?.trim(), "");
    } finally {
      delete process.env["PGPASSWORD"];
      delete process.env["PGOPTIONS"];
    }
  });
});

describe("a password whose special characters are not escaped", () => {
  const DSNS = [
    "postgresql://postgres:sec@ret/word@127.0.0.1:15471/app",
    "postgres:sec@ret/word@127.0.0.1:15471/app",
    "postgresql://postgres:sec/ret@word@127.0.0.1/app",
    "postgresql://postgres:sec?ret=word@127.0.0.1/app",
    "postgresql://postgres:1@2?ret=word@127.0.0.1/app",
    "postgresql://postgres:12,secret@127.0.0.1/app",
    "postgresql://postgres:12 secret@127.0.0.1/app",
    "postgresql://postgres:sec%ret@127.0.0.1/app",
    "postgresql://postgres:sec/ret?word@127.0.0.1/app",
  ];

  for (const dsn of DSNS) {
    it(`is refused, and no part of it is shown: ${dsn}`, () => {
      assert.throws(
        () => parseDsnList(dsn, ENV),
        (error: unknown) =>
          error instanceof UsageError &&
          error.message.includes("%40") &&
          !/\b(sec|ret|word|secret|12)\b/.test(error.message),
      );
    });
    it(`is hidden in a text: ${dsn}`, () => {
      if (!dsn.startsWith("postgresql://") || /[\s,]/.test(dsn)) return;
      assert.equal(
        redact(`cannot reach ${dsn}`).replace(/127[^]*/, ""),
        "cannot reach postgresql://postgres:***@",
      );
    });
  }

  it("is not suspected in a list of hosts", () => {
    assert.equal(parseDsnList("h1:5432/a,joe@h2/b,postgresql://ann:x@h3/c", ENV).length, 3);
  });
});

describe("redact", () => {
  it("hides passwords by their form", () => {
    const shown = redact(
      "postgresql://u:pa'ss@h/d,postgres://u:x@h password='a\\'b' next password=abc PGPASSWORD=x sslpassword=y end",
    );
    assert.equal(
      shown,
      "postgresql://u:***@h/d,postgres://u:***@h password=*** next password=*** PGPASSWORD=*** sslpassword=*** end",
    );
  });

  it("hides the passwords of given DSNs wherever they occur, in any spelling", () => {
    const dsns = parseDsnList("ann:t%2Fop@db1/app,joe:t%2Foppest@db1/app", {});
    assert.equal(redact("t/op and t%2Fop and t/oppest", dsns), "*** and *** and ***");
  });

  it("leaves alone words that are a user, host or database, even if they are also a password", () => {
    const dsns = parseDsnList("postgres:postgres@db1/postgres", {});
    assert.equal(redact('database "postgres" does not exist', dsns), 'database "postgres" does not exist');
  });
});

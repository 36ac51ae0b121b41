import assert from "node:assert/strict";
import { before, describe, it } from "node:test";

import type { Tenant } from "../../src/tenants/tenant.ts";
import type { TestDatabase } from "../support/index.ts";
import { createIslands, createShard, type Islands, run, runJson } from "./run-command.ts";

describe("tenant", () => {
  let islands: Islands;
  const tenants = async (...args: string[]): Promise<Tenant[]> =>
    (await runJson<{ tenants: Tenant[] }>(["tenant", ...args], islands)).tenants;
  before(async () => {
    islands = await createIslands([1, 2]);
    await createShard(islands.b, 3);
  });

  it("needs the global shard, and says how to create it", async () => {
    const { stderr, status } = await run(["tenant", "list"], islands);
    assert.equal(status, 1);
    assert.match(stderr, /sh0000 is active on no island: `shardferry allocate --shard=0/);
    await islands.a.rows(
      "SELECT microsharding.microsharding_ensure_exist(0), microsharding.microsharding_ensure_active(0)",
    );
    assert.deepEqual(await tenants("list"), []);
  });

  it("assign gives each tenant the lightest shard, once and for all", async () => {
    await islands.a.rows("INSERT INTO sh0001.users (name) SELECT 'more' FROM generate_series(1, 5000)");
    const [acme] = await tenants("assign", "acme");
    assert.deepEqual([acme!.shard, acme!.pinned], [2, false]);
    assert.deepEqual(
      (await tenants("assign", "acme", "globex")).map(({ shard }) => shard),
      [2, 3],
    );
    assert.deepEqual(
      await islands.a.rows("SELECT microsharding.microsharding_tenant_shard('acme') AS shard"),
      [{ shard: 2 }],
    );
    assert.deepEqual(
      await islands.a.rows("SELECT microsharding.microsharding_tenant_shard('nobody') AS shard"),
      [{ shard: null }],
    );
    await assert.rejects(islands.b.rows("SELECT microsharding.microsharding_tenant_shard('acme')"), {
      code: "42P01",
    });
  });

  it("concurrent assigns give the same result", async () => {
    const answers = await Promise.all(Array.from({ length: 4 }, () => tenants("assign", "hooli")));
    assert.equal(new Set(answers.map(([one]) => one!.shard)).size, 1);
  });

  it("pin takes a shard without other tenants, and none is assigned to it afterwards", async () => {
    const shared = await run(["tenant", "pin", "acme", "globex", "hooli"], islands);
    assert.equal(shared.status, 1);
    assert.match(shared.stderr, /Tenant \w+ shares shard \d with 1 other, .*cannot be pinned/);
    const [initech] = await tenants("pin", "initech");
    assert.deepEqual([initech!.shard, initech!.pinned], [1, true]);
    const refused = await run(["tenant", "assign", "late", "--shard=1"], islands);
    assert.match(refused.stderr, /No shard is free for tenant late: initech is pinned to shard 1/);
    assert.equal((await tenants("show", "initech"))[0]!.pinned, true);
    assert.match((await run(["tenant", "show", "late"], islands)).stderr, /No such tenant: late/);
  });

  it("a request that works only for some of the tenants is refused before anything changes, and so is an empty name", async () => {
    const before = await tenants("list");
    for (const [args, status, says] of [
      [
        ["pin", "massive", "--shard=2"],
        1,
        /No shard is free for tenant massive: \w+ is in shard 2.*without tenants/,
      ],
      [["pin", "massive", "huge", "--shard=2"], 1, /No shard is free for the tenants massive, huge/],
      [["assign", "small", "acme", "--shard=3"], 1, /Tenant acme is already in shard 2/],
      [["assign", ""], 2, /The name of a tenant is empty/],
      [["assign", "small", " \t"], 2, /The name of a tenant is empty/],
      [["pin", ""], 2, /The name of a tenant is empty/],
    ] as const) {
      const refused = await run(["tenant", ...args], islands);
      assert.equal(refused.status, status, refused.stderr);
      assert.match(refused.stderr, says);
    }
    assert.deepEqual(await tenants("list"), before);
  });

  it("unpin opens the shard to others again, and changes nothing if one of the tenants is unknown", async () => {
    const unknown = await run(["tenant", "unpin", "initech", "nobody"], islands);
    assert.deepEqual([unknown.status, unknown.stdout], [1, ""]);
    assert.match(unknown.stderr, /No such tenant: nobody/);
    assert.equal((await tenants("show", "initech"))[0]!.pinned, true);
    assert.equal((await run(["tenant", "unpin", "initech", "--shard=1"], islands)).status, 2);
    const [initech] = await tenants("unpin", "initech");
    assert.deepEqual([initech!.shard, initech!.pinned], [1, false]);
    assert.equal((await tenants("assign", "late", "--shard=1"))[0]!.shard, 1);
  });

  it("list shows the size of each tenant by a query that is run in its shard, the largest first", async () => {
    await islands.b.rows("INSERT INTO sh0003.users (name) SELECT 'globex' FROM generate_series(1, 7)");
    await islands.a.rows("INSERT INTO sh0002.users (name) SELECT 'globex' FROM generate_series(1, 9)");
    const sized = await tenants(
      "list",
      "--size-sql=SELECT name, count(*) || ' users' FROM users GROUP BY name",
    );
    const { tenant, shard, size, unit } = sized[0]!;
    assert.deepEqual({ tenant, shard, size, unit }, { tenant: "globex", shard: 3, size: 7, unit: "users" });
    assert.deepEqual(
      sized.map((one) => one.size),
      [7, 0, 0, 0, 0],
    );
    const wrong = await run(["tenant", "list", "--size-sql=DELETE FROM users"], islands);
    assert.equal(wrong.status, 1);
    assert.match(wrong.stderr, /--size-sql failed in shard sh000\d: .*read-only/);
  });

  it("works as before after the global shard has moved to another island", async () => {
    const lookUp = async (island: TestDatabase): Promise<unknown> =>
      (await island.rows("SELECT microsharding.microsharding_tenant_shard('acme') AS shard"))[0];
    const before = await tenants("list");
    assert.deepEqual(await lookUp(islands.a), { shard: 2 });
    const moved = await run(
      ["move", "--shard=0", `--to=${islands.names.b}`, "--activate-on-destination=yes"],
      islands,
    );
    assert.equal(moved.status, 0, moved.stderr);
    assert.deepEqual(await lookUp(islands.b), { shard: 2 });
    await assert.rejects(lookUp(islands.a), { code: "42P01" });
    assert.deepEqual(await tenants("list"), before);

    const refused = await run(["tenant", "pin", "initrode"], islands);
    assert.match(refused.stderr, /No shard is free for tenant initrode: /);
    const [assigned] = await tenants("assign", "initrode", "--shard=3");
    assert.deepEqual([assigned!.shard, assigned!.island], [3, islands.names.b]);
    assert.deepEqual(
      await islands.b.rows("SELECT microsharding.microsharding_tenant_shard('initrode') AS shard"),
      [{ shard: 3 }],
    );
  });
});

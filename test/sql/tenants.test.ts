import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { ident } from "../../src/postgres/quote.ts";
import { column, databasesWithApi, LAYOUTS, VERSIONS } from "./psql.ts";

for (const version of VERSIONS) {
  for (const layout of LAYOUTS) {
    describe(`the lookup of tenants in schema ${layout} of PostgreSQL ${version}`, () => {
      const create = databasesWithApi(version, layout);
      const apiSchema = ident(layout);

      test("fails like a missing table where the global shard is not active", async () => {
        const db = await create();
        const lookUp = (): Promise<unknown[]> =>
          column(db, `SELECT ${apiSchema}.microsharding_tenant_shard('acme')`);
        await assert.rejects(lookUp(), { code: "42P01" });
        await db.rows(`SELECT ${apiSchema}.microsharding_ensure_exist(0)`);
        await assert.rejects(db.rows(`SELECT ${apiSchema}.microsharding_tenants_ensure_()`), {
          code: "42P01",
        });
        await db.rows(`SELECT ${apiSchema}.microsharding_ensure_active(0)`);
        await db.rows(
          `SELECT ${apiSchema}.microsharding_tenants_ensure_(), ${apiSchema}.microsharding_tenants_ensure_()`,
        );
        assert.deepEqual(await lookUp(), [null]);
      });

      test("keeps a tenant where it is, and others out of a pinned shard", async () => {
        const db = await create();
        await db.rows(`SELECT ${apiSchema}.microsharding_ensure_exist(0)`);
        await db.rows(`SELECT ${apiSchema}.microsharding_ensure_active(0)`);
        const assign = (...args: string[]): Promise<unknown[]> =>
          column(db, `SELECT ${apiSchema}.microsharding_tenant_assign_(${args.join(", ")})`);
        assert.deepEqual(await assign("'it''s'", "'{2,1}'"), [2]);
        assert.deepEqual(await assign("'it''s'", "'{1}'"), [2]);
        assert.deepEqual(await assign("'huge'", "'{2,1}'", "true"), [1]);
        assert.deepEqual(await assign("'late'", "'{1,2}'"), [2]);
        await assert.rejects(assign("'later'", "'{1}'"), { code: "55000" });
        await assert.rejects(assign("'late'", "'{}'", "true"), { code: "55006" });
        assert.deepEqual(await column(db, `SELECT ${apiSchema}.microsharding_tenant_shard('it''s')`), [2]);
        const unpin = (tenant: string): Promise<unknown[]> =>
          column(db, `SELECT ${apiSchema}.microsharding_tenant_unpin_('${tenant}')`);
        assert.deepEqual(
          [await unpin("huge"), await unpin("huge"), await unpin("nobody")],
          [[1], [1], [null]],
        );
        assert.deepEqual(await assign("'later'", "'{1}'"), [1]);
      });
    });
  }
}

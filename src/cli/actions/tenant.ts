import { Argument } from "commander";

import { ISLANDS, SETTINGS } from "../../config/options.ts";
import { TENANT } from "../../config/shard-options.ts";
import { UsageError } from "../../errors.ts";
import type { Tenant } from "../../tenants/tenant.ts";
import { defineAction } from "../action.ts";
import { plainTable, type TextArea } from "../table.ts";

export const tenant = defineAction({
  options: { ...ISLANDS, shard: TENANT.shard, weightSql: SETTINGS.weightSql, sizeSql: TENANT.sizeSql },
  arguments: [
    new Argument("<what>", "what to do").choices(["assign", "list", "show", "pin", "unpin"]),
    new Argument("[tenant...]", "names of tenants"),
  ],
  examples: [
    "shardferry tenant assign acme globex",
    "shardferry tenant pin initech",
    "shardferry tenant unpin initech",
    'shardferry tenant list --size-sql="SELECT account, count(*) FROM messages GROUP BY 1"',
  ],

  async run({ ui, args, load }) {
    const [what = "", ...tenants] = args;
    const { settings, request: given } = await load();
    if ((tenants.length === 0) !== (what === "list")) {
      throw new UsageError(
        what === "list" ? "tenant list takes no names." : `tenant ${what}: give the names of the tenants.`,
      );
    }
    const { sizeSql } = given;
    if (sizeSql !== undefined && what !== "list" && what !== "show")
      throw new UsageError(`tenant ${what} takes no --size-sql: only list and show do.`);
    if (given.shard !== undefined && what !== "assign" && what !== "pin")
      throw new UsageError(`tenant ${what} takes no --shard: only assign and pin do.`);
    const { assignTenants, listTenants, unpinTenants, UnknownTenantError } =
      await import("../../operations/tenants.ts");
    const found =
      what === "list"
        ? await listTenants(settings, { sizeSql })
        : what === "show"
          ? await listTenants(settings, { tenants, sizeSql })
          : what === "unpin"
            ? await unpinTenants(settings, tenants)
            : await assignTenants(settings, { tenants, shard: given.shard, pin: what === "pin" });
    const unknown = tenants.filter((name) => !found.some((one) => one.tenant === name));
    if (unknown.length > 0) throw new UnknownTenantError(unknown);
    ui.result({ tenants: found }, () => render(found, ui));
  },
});

const render = (tenants: readonly Tenant[], ui: TextArea): string =>
  tenants.length === 0
    ? "There are no tenants."
    : plainTable(
        ["Tenant", "Shard", "Island", tenants[0]?.size === undefined ? "" : "Size", ""],
        tenants.map((one) => [
          one.tenant,
          one.schema ?? String(one.shard),
          one.island ?? "-",
          one.size === undefined ? "" : `${one.size} ${one.unit ?? ""}`.trim(),
          one.pinned ? "pinned" : "",
        ]),
        ui,
      );

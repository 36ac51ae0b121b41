import { Argument } from "commander";
import * as z from "zod";

import { text, wholeNumber } from "../../config/values.ts";
import { UsageError } from "../../errors.ts";
import type { Tenant } from "../../tenants/tenant.ts";
import { type Action, withDsns, withExample } from "../action.ts";
import { plainTable } from "../table.ts";
import type { Ui } from "../ui.ts";

const options = z.object({
  shard: wholeNumber(1, 2_147_483_647).optional(),
  sizeSql: text.optional(),
});

export const tenant: Action = {
  define(command) {
    command
      .addArgument(new Argument("<what>", "what to do").choices(["assign", "list", "show", "pin", "unpin"]))
      .argument("[tenant...]", "names of tenants");
    withDsns(command)
      .option("--shard <n>", "assign or pin to this shard; the lightest one that is free by default")
      .option("--weight-sql <query>", "run once in each shard; its first column is the weight (WEIGHT_SQL)")
      .option(
        "--size-sql <query>",
        "list, show: run once in each shard; its rows are tenants and their sizes",
      );
    withExample(
      command,
      "shardferry tenant assign acme globex",
      "shardferry tenant pin initech",
      "shardferry tenant unpin initech",
      'shardferry tenant list --size-sql="SELECT account, count(*) FROM messages GROUP BY 1"',
    );
  },

  async run({ ui, args, request }) {
    const [what = "", ...tenants] = args;
    const { settings, request: given } = await request(options);
    if ((tenants.length === 0) !== (what === "list")) {
      throw new UsageError(
        what === "list" ? "tenant list takes no names." : `tenant ${what}: give names of tenants.`,
      );
    }
    const { sizeSql } = given;
    if (sizeSql !== undefined && what !== "list" && what !== "show")
      throw new UsageError(`tenant ${what} takes no --size-sql: it is for list and show.`);
    if (given.shard !== undefined && what !== "assign" && what !== "pin")
      throw new UsageError(`tenant ${what} takes no --shard: it is for assign and pin.`);
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
    ui.result({ tenants: found }, () => render(found, ui.colors));
  },
};

const render = (tenants: readonly Tenant[], colors: Ui["colors"]): string =>
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
        colors,
      );

import * as z from "zod";

import { text } from "../../config/values.ts";
import { UsageError } from "../../errors.ts";
import type { FactorChange, ShardSelection } from "../../operations/factor.ts";
import { type Action, withDsns, withExample } from "../action.ts";
import { plainTable } from "../table.ts";

const change = text.transform((value, context): FactorChange => {
  const [, operator, operand] = /^\s*([+*=-]?)\s*(\d+(?:\.\d+)?|\.\d+)\s*$/.exec(value) ?? [];
  if (operand === undefined) context.addIssue(`"${value}" is not P, +P, -P or "*P" with a number P`);
  return { operator: (operator || "=") as FactorChange["operator"], operand: operand ?? "1" };
});

const options = z.object({ shard: text.optional(), shards: text.optional(), factor: change });

export const factor: Action = {
  define(command) {
    withDsns(command)
      .option("--shard <n>", "number of the shard")
      .option(
        "--shards <n,m|prefix>",
        "numbers or ranges of shards, or a DSN or prefix: all shards of that island",
      )
      .option("--factor <p>", 'new factor P, or a change: +P, -P, "*P"');
    withExample(
      command,
      'shardferry factor --shards=host1 --factor="*1.2"',
      "shardferry factor --shard=42 --factor=1",
    );
  },

  async run({ ui, request }) {
    const { settings, request: given } = await request(options);
    const which = given.shards ?? given.shard;
    if (which === undefined || (given.shard && given.shards))
      throw new UsageError("Give either --shard or --shards.");
    const { factor: changeFactor } = await import("../../operations/factor.ts");
    const shards = await changeFactor(settings, selection(which), given.factor);
    ui.result({ shards }, () =>
      plainTable(
        ["Island", "Shard", "Before", "Factor"],
        shards.map(({ island, schema, before, factor: now }) => [
          island,
          schema,
          String(before),
          String(now),
        ]),
        ui.colors,
      ),
    );
  },
};

/** `1,5-7` are numbers; whatever is not made of numbers names an island. */
function selection(which: string): ShardSelection {
  if (!/^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(which)) return { island: which };
  const numbers = which.split(",").flatMap((part) => {
    const [first, last = first] = part.split("-").map(Number);
    if (last! < first! || last! - first! > 100_000)
      throw new UsageError(`--shards: the range ${part} is not usable.`);
    return Array.from({ length: last! - first! + 1 }, (_, i) => first! + i);
  });
  return { numbers };
}

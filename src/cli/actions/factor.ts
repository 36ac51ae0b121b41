import { needed } from "../../config/option.ts";
import { ISLANDS } from "../../config/options.ts";
import { FACTOR } from "../../config/shard-options.ts";
import { UsageError } from "../../errors.ts";
import type { ShardSelection } from "../../operations/factor.ts";
import { defineAction } from "../action.ts";
import { plainTable } from "../table.ts";

export const factor = defineAction({
  options: { ...ISLANDS, ...FACTOR, factor: needed(FACTOR.factor) },
  examples: ['shardferry factor --shards=host1 --factor="*1.2"', "shardferry factor --shard=42 --factor=1"],

  async run({ ui, load }) {
    const { settings, request: given } = await load();
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
        ui,
      ),
    );
  },
});

/** `1,5-7` are numbers; anything else names an island. */
function selection(which: string): ShardSelection {
  if (!/^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(which)) return { island: which };
  const numbers = which.split(",").flatMap((part) => {
    const [first, last = first] = part.split("-").map(Number);
    if (last! < first! || last! - first! > 100_000)
      throw new UsageError(`--shards: the range ${part} runs backwards or is too long.`);
    return Array.from({ length: last! - first! + 1 }, (_, i) => first! + i);
  });
  return { numbers };
}

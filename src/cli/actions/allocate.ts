import { needed } from "../../config/option.ts";
import { ISLANDS, SETTINGS } from "../../config/options.ts";
import { ALLOCATION } from "../../config/shard-options.ts";
import { UsageError } from "../../errors.ts";
import { defineAction } from "../action.ts";

export const allocate = defineAction({
  options: {
    ...ISLANDS,
    shard: ALLOCATION.shard,
    shards: ALLOCATION.shards,
    migrateCmd: SETTINGS.migrateCmd,
    sequences: ALLOCATION.sequences,
    activate: needed(ALLOCATION.activate),
  },
  examples: ['shardferry allocate --shards=301-309 --migrate-cmd="yarn migrate" --activate=yes'],

  async run({ ui, load }) {
    const { settings, request: given } = await load();
    const range = given.shards ?? given.shard;
    if (!range || (given.shard && given.shards))
      throw new UsageError("Give either --shard=N or --shards=N-M.");
    const { allocate: allocateShards } = await import("../../operations/allocate.ts");
    const result = await allocateShards(
      settings,
      { ...range, activate: given.activate, sequences: given.sequences },
      { say: (line) => ui.say(line), commandOutput: ui.progress },
    );
    const { island, created, activated } = result;
    ui.result(result, () => {
      const state = given.activate ? `${activated.length} active` : "none activated";
      const which =
        range.first === range.last ? `Shard ${range.first}` : `Shards ${range.first}-${range.last}`;
      return `${which} on ${island}: ${created.length} created, ${state}.`;
    });
  },
});

import * as z from "zod";

import { shardRange, yesNo } from "../../config/values.ts";
import { UsageError } from "../../errors.ts";
import { type Action, withDsns, withExample } from "../action.ts";
import { sequenceMode } from "./sequences.ts";

const options = z.object({
  shard: shardRange.optional(),
  shards: shardRange.optional(),
  activate: yesNo,
  sequences: sequenceMode.optional(),
});

export const allocate: Action = {
  define(command) {
    withDsns(command)
      .option("--shard <n>", "number of the shard")
      .option("--shards <n-m>", "numbers of the first and the last shard")
      .option("--migrate-cmd <command>", "shell command that creates the tables of new shards (MIGRATE_CMD)")
      .option(
        "--sequences <interleave|range>",
        "give the sequences values that no other shard can produce: N, N + 10000, …; or a range for each shard",
      )
      .option("--activate <yes|no>", "activate the shards when the command has succeeded");
    withExample(command, 'shardferry allocate --shards=301-309 --migrate-cmd="yarn migrate" --activate=yes');
  },

  async run({ ui, request }) {
    const { settings, request: given } = await request(options);
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
};

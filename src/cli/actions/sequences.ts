import { Argument } from "commander";
import * as z from "zod";

import { shardList } from "../../config/values.ts";
import { type Action, withDsns, withExample } from "../action.ts";
import { plainTable } from "../table.ts";

export const sequenceMode = z.enum(["interleave", "range"], { error: "give interleave or range" });

const options = z.object({ mode: sequenceMode, shards: shardList.optional() });

export const sequences: Action = {
  define(command) {
    command.addArgument(new Argument("<what>", "what to do").choices(["assign"]));
    withDsns(command)
      .option("--mode <interleave|range>", "N, N + 10000, N + 20000 and so on; or a range for each shard")
      .option("--shards <n,m-k>", "numbers of the shards; all active ones by default");
    withExample(command, "shardferry sequences assign --mode=interleave --dsns=host1,host2");
  },

  async run({ ui, request }) {
    const { settings, request: given } = await request(options);
    const { assignSequences } = await import("../../operations/sequences.ts");
    const assigned = await assignSequences(settings, given);
    ui.result({ sequences: assigned }, () =>
      plainTable(
        ["Island", "Shard", "Sequence", "Next value", ""],
        assigned.map(({ island, schema, sequence, next, changed }) => [
          ...[island, schema, sequence, next],
          changed ? "changed" : "as before",
        ]),
        ui.colors,
      ),
    );
  },
};

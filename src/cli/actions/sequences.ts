import { Argument } from "commander";

import { needed } from "../../config/option.ts";
import { ISLANDS, SEQUENCES } from "../../config/options.ts";
import { defineAction } from "../action.ts";
import { plainTable } from "../table.ts";

export const sequences = defineAction({
  options: { ...ISLANDS, ...SEQUENCES, mode: needed(SEQUENCES.mode) },
  arguments: [new Argument("<what>", "what to do").choices(["assign"])],
  examples: ["shardferry sequences assign --mode=interleave --dsns=host1,host2"],

  async run({ ui, load }) {
    const { settings, request: given } = await load();
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
});

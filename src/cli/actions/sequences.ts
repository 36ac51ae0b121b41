import { Argument } from "commander";

import { needed } from "../../config/option.ts";
import { ISLANDS } from "../../config/options.ts";
import { SEQUENCES } from "../../config/shard-options.ts";
import { AbortedError } from "../../errors.ts";
import { plural } from "../../format.ts";
import type { AssignedSequence } from "../../operations/sequences.ts";
import { defineAction } from "../action.ts";
import { askYesNo } from "../ask.ts";
import { plainTable } from "../table.ts";
import type { Ui } from "../ui.ts";

export const sequences = defineAction({
  options: { ...ISLANDS, ...SEQUENCES, mode: needed(SEQUENCES.mode) },
  arguments: [new Argument("<what>", "what to do").choices(["assign"])],
  examples: ["shardferry sequences assign --mode=interleave --dsns=host1,host2"],

  async run({ ui, load }) {
    const { settings, request: given } = await load();
    const { assignSequences } = await import("../../operations/sequences.ts");
    // Scripts cannot answer, and have always been able to assign.
    if (ui.interactive && !given.yes && !given.dryRun)
      await agree(ui, await assignSequences(settings, { ...given, dryRun: true }));
    const assigned = await assignSequences(settings, given);
    ui.result({ sequences: assigned }, () =>
      plainTable(
        ["Island", "Shard", "Sequence", "Next value", ""],
        assigned.map(({ island, schema, sequence, next, changed }) => [
          ...[island, schema, sequence, next ?? "-"],
          changed ? (given.dryRun ? "to be changed" : "changed") : "as before",
        ]),
        ui,
      ),
    );
  },
});

async function agree(ui: Ui, planned: readonly AssignedSequence[]): Promise<void> {
  const doomed = planned.filter(({ changed }) => changed);
  if (doomed.length === 0) return;
  const shards = plural(new Set(doomed.map(({ schema }) => schema)).size, "shard");
  const what = `${plural(doomed.length, "sequence")} of ${shards}`;
  if (!(await askYesNo(ui, `Give ${what} other values from now on?`)))
    throw new AbortedError("Nothing was changed.");
}

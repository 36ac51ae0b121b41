import * as z from "zod";

import type { CopyResult } from "../../../contract/move.ts";
import { text, yesNo } from "../../config/values.ts";
import { bytes, count, duration } from "../../format.ts";
import { type Action, withDsns, withExample, withReplication } from "../action.ts";
import { runWorkflow } from "../run-workflow.ts";

const options = z.object({
  schema: text,
  from: text,
  to: text,
  wait: yesNo.optional(),
  validateFks: yesNo.optional(),
});

export const copy: Action = {
  define(command) {
    command
      .option("--schema <name>", "the schema, of any name")
      .option(
        "--from <island>",
        "where it is: a DSN, or the beginning of an island's name that fits no other",
      )
      .option("--to <island>", "where the copy goes");
    withDsns(withReplication(command));
    withExample(
      command,
      "shardferry copy --schema=billing --from=host1 --to=host2 --wait --dsns=host1,host2",
    );
  },

  async run({ ui, request }) {
    const { settings, request: given } = await request(options);
    const { copy: startCopy } = await import("../../operations/copy.ts");
    await runWorkflow<CopyResult>(ui, settings, (open) => startCopy(open, settings, given), copySummary);
  },
};

/** What a copy has done. */
export const copySummary = ({ schema, from, to, rows, bytes: size, durationMs }: CopyResult): string =>
  `Copied ${schema} from ${from} to ${to}: ${count(rows)} rows, ${bytes(size)} in ${duration(durationMs)}.`;

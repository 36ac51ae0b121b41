import type { CopyResult } from "../../../contract/move.ts";
import { COPY, ISLANDS } from "../../config/options.ts";
import { bytes, count, duration } from "../../format.ts";
import { defineAction } from "../action.ts";
import { runWorkflow } from "../run-workflow.ts";

export const copy = defineAction({
  options: { ...COPY, ...ISLANDS },
  examples: ["shardferry copy --schema=billing --from=host1 --to=host2 --wait --dsns=host1,host2"],

  async run({ ui, load }) {
    const { settings, request: given } = await load();
    const { copy: startCopy } = await import("../../operations/copy.ts");
    await runWorkflow<CopyResult>(ui, settings, (open) => startCopy(open, settings, given), copySummary);
  },
});

/** Describes the result of a copy. */
export const copySummary = ({ schema, from, to, rows, bytes: size, durationMs }: CopyResult): string =>
  `Copied ${schema} from ${from} to ${to}: ${count(rows)} rows, ${bytes(size)} in ${duration(durationMs)}.`;

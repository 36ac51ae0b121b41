import type { CopyResult } from "../../../contract/move.ts";
import { COPY, ISLANDS } from "../../config/options.ts";
import { defineAction } from "../action.ts";
import { runWorkflow } from "../run-workflow.ts";
import { amountOf } from "./move.ts";

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
export const copySummary = ({ schema, from, to, bytes: copiedBytes, ...amount }: CopyResult): string =>
  `Copied ${schema} from ${from} to ${to}: ${amountOf({ ...amount, copiedBytes })}.`;

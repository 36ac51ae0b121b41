import type { VerifyResult } from "../../../contract/verify.ts";
import { COMPARISON, ISLANDS } from "../../config/options.ts";
import { EXIT } from "../../errors.ts";
import { bytes, duration, plural } from "../../format.ts";
import { describeDifferences } from "../../verify/describe.ts";
import { defineAction } from "../action.ts";
import { runWorkflow } from "../run-workflow.ts";

export const verify = defineAction({
  options: { ...COMPARISON, ...ISLANDS },
  examples: [
    "shardferry verify --shard=42 --dsns=host1,host2",
    "shardferry verify --schema=sh0042 --from=host1 --to=host2 --to-schema=sh0042new_20260131120000 --dsns=host1,host2",
  ],

  async run({ ui, load }) {
    const { settings, request } = await load();
    const { verify: startVerify } = await import("../../operations/verify.ts");
    const result = await runWorkflow<VerifyResult>(
      ui,
      settings,
      (open) => startVerify(open, settings, request),
      verifySummary,
    );
    return result?.same === false ? EXIT.failed : EXIT.done;
  },
});

/** Describes the result of a comparison. */
export function verifySummary(result: VerifyResult): string {
  const { schema, from, toSchema, to, same, tables, rows, bytes: size, durationMs } = result;
  const what = `${schema} on ${from} and ${toSchema} on ${to}`;
  const amount = `${plural(tables, "table")}, ${plural(rows, "row")}, ${bytes(size)} in ${duration(durationMs)}`;
  if (same) return `${what} are the same: ${amount}.`;
  const { differences, more, changing } = result;
  const told = differences.length > 0 ? [describeDifferences(differences, more)] : [];
  const busy = changing.map(
    ({ table }) => `rows of "${table}" changed whenever they were read: nothing is known about them`,
  );
  return [`${what} are not the same (${amount}):`, ...told, ...busy].join("\n");
}

import * as z from "zod";

import { shardNumber, text } from "../../config/values.ts";
import { EXIT, UsageError } from "../../errors.ts";
import type { Diagnosis } from "../../operations/doctor.ts";
import { type Action, withDsns, withExample, withReplication } from "../action.ts";
import type { Ui } from "../ui.ts";

const options = z.object({ shard: shardNumber.optional(), to: text.optional(), from: text.optional() });

export const doctor: Action = {
  define(command) {
    withDsns(command)
      .option("--shard <n>", "check the move of this shard instead of the islands")
      .option("--to <island>", "where it would go")
      .option("--from <island>", "where it is; found out if left out");
    // Those of a move are accepted, so that "move" in a command line can be replaced by "doctor".
    withReplication(command)
      .option("--activate-on-destination <yes|no>", "as for move")
      .option("--max-write-block-ms <ms>", "as for move")
      .option("--deactivate-sql <sql>", "as for move");
    withExample(
      command,
      "shardferry doctor --dsns=host1,host2",
      "shardferry doctor --shard=42 --to=host2 --dsns=host1,host2",
    );
  },

  async run({ ui, request }) {
    const { settings, request: given } = await request(options);
    if ((given.shard === undefined) !== (given.to === undefined)) {
      throw new UsageError("A move is checked with both --shard and --to; without both, the islands are.");
    }
    const { doctor: examine, doctorMove } = await import("../../operations/doctor.ts");
    const { shard, to, from } = given;
    const diagnosis =
      shard !== undefined && to !== undefined
        ? await doctorMove(settings, { shard, to, from })
        : await examine(settings);
    const ok = diagnosis.findings.every(({ severity }) => severity !== "problem");
    ui.result({ ok, ...diagnosis }, () => render(diagnosis, ui.colors));
    return ok ? EXIT.done : EXIT.failed;
  },
};

function render({ checked, findings }: Diagnosis, colors: Ui["colors"]): string {
  if (findings.length === 0) return `${colors.green("✔")} checked ${checked}: nothing to change`;
  const lines = findings.map(({ island, severity, text: what }) => {
    const mark = severity === "problem" ? colors.red("✘") : colors.yellow("!");
    return `${mark} ${island && !what.includes(island) ? `${island}: ` : ""}${what}`;
  });
  return [`checked ${checked}`, ...lines].join("\n");
}

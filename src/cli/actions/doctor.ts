import type { RequestOf } from "../../config/option.ts";
import { CHECK, ISLANDS } from "../../config/options.ts";
import type { Settings } from "../../config/settings.ts";
import { EXIT, UsageError } from "../../errors.ts";
import type { Diagnosis } from "../../operations/doctor.ts";
import { defineAction } from "../action.ts";
import type { Ui } from "../ui.ts";

export const doctor = defineAction({
  options: { ...ISLANDS, ...CHECK },
  examples: [
    "shardferry doctor --dsns=host1,host2",
    "shardferry doctor --shard=42 --to=host2 --dsns=host1,host2",
    "shardferry doctor --schema=billing --from=host1 --to=host2 --dsns=host1,host2",
  ],

  async run({ ui, load }) {
    const { settings, request: given } = await load();
    const diagnosis = await diagnose(settings, given);
    const ok = diagnosis.findings.every(({ severity }) => severity !== "problem");
    ui.result({ ok, ...diagnosis }, () => render(diagnosis, ui.colors));
    return ok ? EXIT.done : EXIT.failed;
  },
});

/** Checks a move if a shard is given, a copy if a schema is, and the islands otherwise. */
async function diagnose(settings: Settings, given: RequestOf<typeof CHECK>): Promise<Diagnosis> {
  const { shard, schema, from, to } = given;
  const { doctor: examine, doctorCopy, doctorMove } = await import("../../operations/doctor.ts");
  if (shard !== undefined && schema === undefined && to !== undefined)
    return doctorMove(settings, { ...given, shard, to });
  if (schema !== undefined && shard === undefined && from !== undefined && to !== undefined)
    return doctorCopy(settings, { ...given, schema, from, to });
  if ([shard, schema, from, to].every((value) => value === undefined)) return examine(settings);
  throw new UsageError(
    "Give --shard and --to to check a move; --schema, --from and --to to check a copy; or none of these to check the islands.",
  );
}

function render({ checked, findings }: Diagnosis, colors: Ui["colors"]): string {
  if (findings.length === 0) return `${colors.green("✔")} checked ${checked}: nothing to change`;
  const lines = findings.map(({ island, severity, text: what }) => {
    const mark = severity === "problem" ? colors.red("✘") : colors.yellow("!");
    return `${mark} ${island && !what.includes(island) ? `${island}: ` : ""}${what}`;
  });
  return [`checked ${checked}`, ...lines].join("\n");
}

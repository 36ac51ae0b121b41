import type { MigrateResult } from "../../../contract/migrate.ts";
import { ISLANDS, MIGRATION, YES } from "../../config/options.ts";
import { AbortedError, UsageError } from "../../errors.ts";
import { count, duration, plural } from "../../format.ts";
import type { MigrationPlan } from "../../operations/migrate.ts";
import { defineAction } from "../action.ts";
import { askYesNo } from "../ask.ts";
import { runWorkflow } from "../run-workflow.ts";
import type { Ui } from "../ui.ts";

export const migrate = defineAction({
  options: { ...MIGRATION, yes: YES, ...ISLANDS },
  examples: ["shardferry migrate --file=migrations/0042_add_email.sql --dsns=host1,host2"],

  async run({ ui, load }) {
    const { settings, request: given } = await load();
    const { migrate: startMigrate } = await import("../../operations/migrate.ts");
    const ask = async (plan: MigrationPlan): Promise<void> => {
      for (const line of describe(plan)) ui.say(line);
      if (!given.yes && !plan.dryRun) await agree(ui);
    };
    await runWorkflow<MigrateResult>(
      ui,
      settings,
      (open) => startMigrate(open, settings, given, ask),
      migrateSummary,
    );
  },
});

async function agree(ui: Ui): Promise<void> {
  const answer = await askYesNo(ui, "Change these shards?");
  if (answer === null)
    throw new UsageError(
      "Nothing was changed: there is no one to confirm it. Give --yes to change these shards.",
    );
  if (!answer) throw new AbortedError("Nothing was changed.");
}

/** Describes what the migration is about to do, line by line. */
function describe({
  name,
  mode: how,
  islands,
  statements,
  transactions,
  waitsFor,
  dryRun,
}: MigrationPlan): string[] {
  const lines = islands.map(
    ({ island, applied, skipped }) =>
      `${island}: ${plural(applied, "shard")} to change${skipped > 0 ? `, ${count(skipped)} already have "${name}"` : ""}`,
  );
  const what = `"${name}", ${plural(statements, "statement")}`;
  if (dryRun) lines.push(`${what}: runs in all of them and is rolled back`);
  else if (how === "each")
    lines.push(
      `${what}: one shard after another; after a failure the shards before it stay changed, and a rerun continues`,
    );
  else if (transactions > 1)
    lines.push(
      `${what}: in ${transactions} transactions, each of them all or nothing; after a failure those before it stay committed, and a rerun continues`,
    );
  else lines.push(`${what}: all of them or none`);
  if (waitsFor.length > 0) lines.push(`waits for ${waitsFor.slice(0, 10).join(", ")} to end`);
  return lines;
}

/** Describes the result of a migration. */
export function migrateSummary({
  name,
  applied,
  skipped,
  islands,
  dryRun,
  durationMs,
  lockedMs,
}: MigrateResult): string {
  const had = skipped > 0 ? ` ${plural(skipped, "shard")} already had it.` : "";
  if (dryRun)
    return `"${name}" ran in ${plural(applied, "shard")} on ${plural(islands.length, "island")} without an error, and was rolled back.${had}`;
  const locked = lockedMs > 0 ? `; tables were locked for at most ${Math.ceil(lockedMs)} ms` : "";
  return `"${name}" is in ${plural(applied, "more shard")} on ${plural(islands.length, "island")}, in ${duration(durationMs)}${locked}.${had}`;
}

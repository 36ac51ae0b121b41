import * as z from "zod";

import type { MigrateResult } from "../../../contract/migrate.ts";
import { shardNumbers, text, wholeNumber, yesNo } from "../../config/values.ts";
import { AbortedError, UsageError } from "../../errors.ts";
import { count, duration, plural } from "../../format.ts";
import type { MigrationPlan } from "../../operations/migrate.ts";
import { type Action, withDsns, withExample } from "../action.ts";
import { askYesNo } from "../ask.ts";
import { runWorkflow } from "../run-workflow.ts";
import type { Ui } from "../ui.ts";

const mode = z.enum(["all", "each"], { error: "must be all or each" });

const options = z.object({
  file: text.optional(),
  sql: text.optional(),
  name: text.optional(),
  shards: shardNumbers.optional(),
  mode: mode.optional(),
  batch: wholeNumber(1).optional(),
  dryRun: yesNo.optional(),
  yes: yesNo.optional(),
  lockTimeoutMs: wholeNumber(1, 60_000).optional(),
  deadlineSec: wholeNumber(1, 86_400).optional(),
});

export const migrate: Action = {
  define(command) {
    command
      .option(
        "--file <file>",
        "the file with the SQL, which runs in every shard with that shard as search_path",
      )
      .option("--sql <sql>", "the SQL itself, instead of a file")
      .option(
        "--name <name>",
        "by this name the shards remember it and skip it the next time (the file's name)",
      )
      .option(
        "--shards <n,m-k>",
        "numbers of shards, also of inactive ones (SHARDFERRY_SHARDS; default: all active ones)",
      )
      .option("--dry-run [yes|no]", "run it everywhere and roll it back everywhere")
      .option(
        "--mode <all|each>",
        "all: all shards or none; each: one shard after the other, without transactions",
      )
      .option(
        "--batch <n>",
        "change n shards of each island at a time, all of these or none, where locks run out",
      )
      .option(
        "--lock-timeout-ms <ms>",
        "longest wait of a statement for a lock; then all is tried again (default 100)",
      )
      .option("--deadline-sec <s>", "time for all tries together (default 60)")
      .option("--yes [yes|no]", "do not ask");
    withDsns(command);
    withExample(command, "shardferry migrate --file=migrations/0042_add_email.sql --dsns=host1,host2");
  },

  async run({ ui, request }) {
    const { settings, request: given } = await request(options);
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
};

async function agree(ui: Ui): Promise<void> {
  const answer = await askYesNo(ui, "Change these shards?");
  if (answer === null)
    throw new UsageError("Nothing was changed: there is nobody to ask. Give --yes to change these shards.");
  if (!answer) throw new AbortedError("Nothing was changed.");
}

/** What is about to be done, line by line. */
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
      `${island}: ${plural(applied, "shard")} to change${skipped > 0 ? `, ${count(skipped)} have had "${name}"` : ""}`,
  );
  const what = `"${name}", ${plural(statements, "statement")}`;
  if (dryRun) lines.push(`${what}: runs in all of them and is rolled back`);
  else if (how === "each")
    lines.push(
      `${what}: one shard after the other; a failure leaves those before it changed, and a rerun goes on`,
    );
  else if (transactions > 1)
    lines.push(
      `${what}: in ${transactions} transactions, each of them all or nothing; a failure leaves those before it committed, and a rerun goes on`,
    );
  else lines.push(`${what}: all of them or none`);
  if (waitsFor.length > 0) lines.push(`waits until ${waitsFor.slice(0, 10).join(", ")} ended`);
  return lines;
}

/** What a migration has done. */
export function migrateSummary({
  name,
  applied,
  skipped,
  islands,
  dryRun,
  durationMs,
  lockedMs,
}: MigrateResult): string {
  const had = skipped > 0 ? ` ${plural(skipped, "shard")} had it before.` : "";
  if (dryRun)
    return `"${name}" ran in ${plural(applied, "shard")} on ${plural(islands.length, "island")} without an error, and was rolled back.${had}`;
  const locked = lockedMs > 0 ? `; tables were locked for at most ${Math.ceil(lockedMs)} ms` : "";
  return `"${name}" is in ${plural(applied, "more shard")} on ${plural(islands.length, "island")}, in ${duration(durationMs)}${locked}.${had}`;
}

import type { Leftover } from "../../cleanup/leftover.ts";
import { ISLANDS, OLDER_THAN, YES } from "../../config/options.ts";
import { EXIT, UsageError } from "../../errors.ts";
import { age, bytes, plural } from "../../format.ts";
import type { CleanupResult } from "../../operations/cleanup.ts";
import { defineAction } from "../action.ts";
import { askYesNo } from "../ask.ts";
import { hang, plainTable } from "../table.ts";
import type { Ui } from "../ui.ts";

export const cleanup = defineAction({
  options: { ...ISLANDS, olderThan: OLDER_THAN, yes: YES },
  examples: ["shardferry cleanup --dsns=host1,host2", "shardferry cleanup --older-than=7d --yes"],

  async run({ ui, load }) {
    const { settings, request: given } = await load();
    const { cleanup: drop, findLeftovers } = await import("../../operations/cleanup.ts");
    const { Session } = await import("../../worker/session.ts");
    let opening: ReturnType<typeof Session.openExisting> | undefined;
    const asking = (): NonNullable<typeof opening> =>
      (opening ??= Session.openExisting(settings, (line) => ui.say(line)));
    try {
      const found = await findLeftovers(settings, asking, { olderThanMs: given.olderThan });
      const doomed = found.filter(({ kept }) => kept === null);
      if (!ui.json) process.stdout.write(`${render(found, doomed, ui)}\n`);
      const agreed = doomed.length > 0 && (given.yes || (!ui.json && (await agree(ui, doomed))));
      const result = agreed
        ? await drop(settings, asking, doomed, (line) => ui.say(line))
        : { dropped: [], failed: [] };
      ui.result({ leftovers: found, ...result }, () => (agreed ? summary(result, ui) : ""));
      return result.failed.length > 0 ? EXIT.failed : EXIT.done;
    } finally {
      await (await opening)?.close();
    }
  },
});

async function agree(ui: Ui, doomed: readonly Leftover[]): Promise<boolean> {
  const size = doomed.reduce((sum, one) => sum + (one.bytes ?? 0), 0);
  const question = `Drop ${plural(doomed.length, "leftover")}? This frees ${bytes(size)}, and cannot be undone.`;
  const answer = await askYesNo(ui, question);
  if (answer === null)
    throw new UsageError("Nothing was dropped: there is no one to confirm it. Give --yes to drop these.");
  if (!answer) ui.say("Nothing was dropped.");
  return answer;
}

function render(found: readonly Leftover[], doomed: readonly Leftover[], ui: Ui): string {
  const kept = found.filter((one) => one.kept !== null);
  const parts = [];
  if (doomed.length > 0) {
    const header = ["Island", "What", "Name", "Size", "Age", "Made by"];
    parts.push(plainTable(header, doomed.map(cells), ui));
  } else parts.push("There is nothing to drop.");
  if (kept.length > 0) {
    const lines = kept.map(({ island, kind, name, kept: why }) =>
      hang(ui, "  ", `${island}: ${kind} ${name}: ${why}`),
    );
    parts.push([ui.colors.bold("Kept:"), ...lines].join("\n"));
  }
  return parts.join("\n\n");
}

const cells = ({ island, kind, name, bytes: size, since, workflowId }: Leftover): string[] => [
  island,
  kind,
  name,
  size === null ? "" : bytes(size),
  since === null ? "" : age(Date.now() - Date.parse(since)),
  workflowId ?? "",
];

function summary({ dropped, failed }: CleanupResult, ui: Ui): string {
  const freed = dropped.reduce((sum, { bytes: size }) => sum + (size ?? 0), 0);
  const done = `Dropped ${plural(dropped.length, "leftover")}, ${bytes(freed)}.`;
  if (failed.length === 0) return done;
  const lines = failed.map(({ island, name, reason }) => hang(ui, "  ", `${island}: ${name}: ${reason}`));
  return [`${done} Not dropped:`, ...lines].join("\n");
}

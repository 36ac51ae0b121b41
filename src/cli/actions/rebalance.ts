import type { WriteBlock } from "../../../contract/progress.ts";
import type { RequestOf } from "../../config/option.ts";
import { ISLANDS, REBALANCE } from "../../config/options.ts";
import type { Settings } from "../../config/settings.ts";
import { AbortedError, EXIT, UsageError } from "../../errors.ts";
import { blockedFor, bytes, count, duration, plural, weight } from "../../format.ts";
import type { RebalanceRequest } from "../../operations/rebalance.ts";
import type { RebalanceProposal } from "../../operations/rebalance-plan.ts";
import type { Tone } from "../../rebalance/render.ts";
import type { RebalanceResult } from "../../watch/rebalance-result.ts";
import { defineAction } from "../action.ts";
import { askYesNo } from "../ask.ts";
import { runWorkflow } from "../run-workflow.ts";
import type { Ui } from "../ui.ts";

export const rebalance = defineAction({
  options: { ...REBALANCE, ...ISLANDS },
  examples: [
    "shardferry rebalance --dsns=host1,host2,host3 --parallelism=4",
    "shardferry rebalance --decommission=host2 --yes --dsns=host1,host2,host3",
    "shardferry rebalance --out=plan.json && shardferry rebalance --plan=plan.json --yes",
  ],

  async run({ ui, load }) {
    const { settings, request: given } = await load();
    const { rebalance: startRebalance } = await import("../../operations/rebalance.ts");
    const request = await requestOf(given);
    if (given.dryRun || given.out !== undefined) return showPlan(ui, settings, request, given.out);
    const approve = async (proposal: RebalanceProposal): Promise<boolean> => {
      const asks = proposal.plan.moves.length > 0 && !given.yes;
      if (asks && ui.json) throw new UsageError(NOT_ASKED);
      ui.progress.write(`${await draw(ui, proposal)}\n\n`);
      if (asks) await ask(ui);
      return true;
    };
    const result = await runWorkflow(
      ui,
      settings,
      (open) => startRebalance(open, settings, request, approve),
      rebalanceSummary,
    );
    if (result === null) ui.result({ moves: [], failed: [], remaining: 0 }, () => "Nothing was moved.");
    return result === null ? EXIT.done : rebalanceStatus(result);
  },
});

const NOT_ASKED =
  "Nothing was started: with --json, nobody is asked. Give --yes to make the moves, or --dry-run to see the plan as JSON.";

async function requestOf(given: RequestOf<typeof REBALANCE>): Promise<RebalanceRequest> {
  const decommission = given.decommission?.split(",").map((part) => part.trim());
  if (given.plan === undefined)
    return { ...given, decommission: decommission?.filter((part) => part !== ""), plan: undefined };
  if (decommission !== undefined || given.maxBytes !== undefined)
    throw new UsageError(
      "--plan: the plan has its own --decommission and --max-bytes; leave these options out.",
    );
  const { readPlan } = await import("../../operations/rebalance-plan.ts");
  return { ...given, decommission: undefined, plan: await readPlan(given.plan) };
}

/** Shows the plan, or writes it to a file; starts nothing. */
async function showPlan(
  ui: Ui,
  settings: Settings,
  request: RebalanceRequest,
  file: string | undefined,
): Promise<void> {
  const { proposeRebalance } = await import("../../operations/rebalance.ts");
  const { documentOf, writePlan } = await import("../../operations/rebalance-plan.ts");
  const proposal = await proposeRebalance(settings, request);
  const plan = documentOf(proposal);
  if (file !== undefined) await writePlan(file, plan);
  const drawing = await draw(ui, proposal);
  const written =
    file === undefined
      ? ""
      : `\n\nWritten to ${file}; \`shardferry rebalance --plan=${file}\` makes these moves.`;
  ui.result(plan, () => `${drawing}${written}\n\nNothing was started.`);
}

const draw = ({ colors, progress }: Ui, proposal: RebalanceProposal): Promise<string> =>
  renderProposal(proposal, { colors, columns: progress.columns ?? 80 });

/** Draws the plan, and says what it costs besides its moves. */
export async function renderProposal(
  proposal: RebalanceProposal,
  { colors, columns }: { colors: Ui["colors"]; columns: number },
): Promise<string> {
  const { renderPlan, wrapped } = await import("../../rebalance/render.ts");
  const paint: Record<Tone, (text: string) => string> = {
    heavy: colors.red,
    light: colors.cyan,
    even: colors.green,
    faint: colors.dim,
  };
  const drawing = renderPlan(proposal.plan, {
    width: columns,
    remaining: proposal.remaining,
    formatWeight: (value) => weight(value, proposal.unit),
    paint: (shown, tone) => paint[tone](shown),
  });
  return [drawing, ...consequencesOf(proposal).map((text) => wrapped(text, columns))].join("\n");
}

function consequencesOf({ plan, concurrency, expectedMs }: RebalanceProposal): string[] {
  if (plan.moves.length === 0) return [];
  const { asked, possible, because } = concurrency;
  return [
    `The old copies, ${bytes(plan.bytes)}, stay on the islands that the shards leave until \`shardferry cleanup\` drops them.`,
    ...(because.length > 0
      ? [`At most ${plural(possible, "move")} at a time instead of ${asked}: ${because.join("; ")}.`]
      : []),
    ...(expectedMs === null
      ? []
      : [`Expected to take about ${duration(expectedMs)}, judging by earlier moves.`]),
  ];
}

/** Describes the result of a rebalance, and names each failure. */
export function rebalanceSummary({ moves, failed, remaining }: RebalanceResult): string {
  const [rows, size, time, blocked] = [
    moves.reduce((sum, move) => sum + move.rows, 0),
    moves.reduce((sum, move) => sum + move.bytes, 0),
    moves.reduce((sum, move) => sum + move.durationMs, 0),
    sumOf(moves.map(({ writeBlocked }) => writeBlocked)),
  ];
  const what = moves.every(({ activated }) => activated) ? "Moved" : "Rehearsed";
  const rest =
    remaining > 0
      ? [`${plural(remaining, "move")} ${remaining === 1 ? "remains" : "remain"}; run rebalance again.`]
      : [];
  const done =
    `${what} ${plural(moves.length, "shard")}: ${count(rows)} rows, ${bytes(size)}; ` +
    `${duration(time)} of work in all, writers were blocked for ${blockedFor(blocked)}.`;
  if (failed.length === 0) return [done, ...rest].join("\n");
  const failures = failed.map(
    ({ schema, from, to, reason }) => `  ${schema} from ${from} to ${to}: ${reason}`,
  );
  return [done, `${count(failed.length)} failed:`, ...failures, ...rest].join("\n");
}

const sumOf = (blocks: readonly WriteBlock[]): WriteBlock => ({
  attempts: blocks.reduce((sum, { attempts }) => sum + attempts, 0),
  totalMs: blocks.reduce((sum, { totalMs }) => sum + totalMs, 0),
  longestMs: Math.max(0, ...blocks.map(({ longestMs }) => longestMs)),
  atMost: blocks.some(({ atMost }) => atMost),
});

/** The exit status for a rebalance that has come to its end. */
export const rebalanceStatus = ({ failed }: RebalanceResult): number =>
  failed.length > 0 ? EXIT.failed : EXIT.done;

async function ask(ui: Ui): Promise<void> {
  if (!process.stdin.isTTY) {
    throw new UsageError(
      "Nothing was started: there is no terminal to confirm it on. Give --yes to make these moves.",
    );
  }
  if (!(await askYesNo(ui, "Make these moves?"))) throw new AbortedError("Nothing was started.");
}

import { Argument } from "commander";

import type { BlockedSoFar, WriteBlock } from "../../../contract/progress.ts";
import { duration, percentDone } from "../../format.ts";
import { figuresOf, reachedBy } from "../../watch/figures.ts";
import { rebalanceProgress } from "../../watch/rebalance-progress.ts";
import type { Snapshot } from "../../watch/snapshot.ts";
import { idleText, numbersOf, waitOf, withWal } from "../../watch/story.ts";
import { defineAction } from "../action.ts";
import { plainTable, type TextArea } from "../table.ts";

export const status = defineAction({
  arguments: [new Argument("[workflow-id]", "only this one")],
  examples: ["shardferry status", "shardferry status move-sh0042 --json"],

  async run({ ui, args, load }) {
    const { settings: loaded } = await load();
    const { Session } = await import("../../worker/session.ts");
    const { status: readStatus } = await import("../../operations/steer.ts");
    const session = await Session.openExisting(loaded, (line) => ui.say(line));
    try {
      const snapshots = session ? await readStatus(session.temporal, args[0]) : [];
      ui.result(
        snapshots.map((snapshot) => toRow(snapshot, snapshots)),
        () => renderStatus(snapshots, ui),
      );
    } finally {
      await session?.close();
    }
  },
});

/** Shows what is running, for a terminal of so many columns. */
export function renderStatus(snapshots: readonly Snapshot[], ui: TextArea): string {
  if (snapshots.length === 0) return "Nothing is running.";
  const cells = snapshots.map((snapshot) => {
    const row = toRow(snapshot, snapshots);
    return [
      row.workflowId,
      row.step ?? "?",
      row.percent === null ? "" : percentDone(row.percent),
      row.elapsedMs === null ? "" : duration(row.elapsedMs),
      row.note,
      row.waitingFor ?? "",
    ];
  });
  const titles = ["Workflow", "Step", "Done", "Running for", "Numbers", "Waiting for"];
  const table = plainTable(titles, cells, ui);
  const links = snapshots.flatMap(({ link }) => link ?? []);
  return links.length === 0 ? table : [table, "", "On Temporal's page:", ...links].join("\n");
}

/** `others` has the moves of a rebalance. */
function toRow(snapshot: Snapshot, others: readonly Snapshot[]) {
  const { workflowId, runId, type, request, progress, activities, idleQueue } = snapshot;
  const [running] = activities;
  const rebalance = rebalanceProgress(snapshot);
  const numbers = figuresOf(snapshot);
  const expiresAt = progress?.expiresAt ?? null;
  const reached = rebalance ? reachedBy(rebalance, others) : numbers;
  return {
    workflowId,
    runId,
    type,
    phase: progress?.phase ?? null,
    step: progress?.step ?? running?.step ?? null,
    percent: reached.percent,
    secondsLeft: expiresAt === null ? reached.secondsLeft : Math.round(msUntil(expiresAt) / 1000),
    expiresAt: expiresAt === null ? null : new Date(expiresAt).toISOString(),
    lagBytes: activities.map(({ details }) => details?.lagBytes).find((lag) => lag !== undefined) ?? null,
    sizeBytes: rebalance?.bytes ?? numbers.sizeBytes,
    copiedBytes: numbers.copiedBytes,
    rows: numbers.rows,
    rowsTotal: numbers.rowsTotal,
    bytesPerSec: numbers.bytesPerSec,
    walKeptBytes: numbers.walKeptBytes,
    waitingFor: waitOf(snapshot) ?? (idleQueue === null ? null : idleText(idleQueue, snapshot)),
    from: request["from"] ?? null,
    to: request["to"] ?? null,
    schema: request["schema"] ?? null,
    elapsedMs: progress ? Date.now() - progress.startedAt : null,
    note: noteOf(snapshot),
    writeBlocked: writeBlockedOf(running?.details?.blocked) ?? writeBlockedIn(progress),
    attempt: running?.attempt ?? null,
    lastFailure: running?.failure ?? null,
    link: snapshot.link,
  };
}

/** What the switch has cost the writers so far; null where none is being tried. */
function writeBlockedOf(blocked: BlockedSoFar | undefined): WriteBlock | null {
  if (!blocked) return null;
  const { attempts, longestMs, totalMs, atMost } = blocked;
  return { attempts, longestMs, totalMs, atMost };
}

/** What the switch has cost the writers, once it is done. */
const writeBlockedIn = (progress: Snapshot["progress"]): WriteBlock | null =>
  (progress as { writeBlocked?: WriteBlock } | null)?.writeBlocked ?? null;

/** The numbers of the running step; of a rebalance, those of its moves. */
function noteOf(snapshot: Snapshot): string {
  const rebalance = rebalanceProgress(snapshot);
  if (rebalance) {
    const failed = rebalance.failed > 0 ? `, ${rebalance.failed} failed` : "";
    return `${rebalance.done} of ${rebalance.total} moves done${failed}, ${rebalance.running.length} running`;
  }
  const [running] = snapshot.activities;
  const numbers = withWal(running?.details ? numbersOf(running.details) : "", snapshot);
  const { expiresAt } = snapshot.progress ?? {};
  return expiresAt === undefined ? numbers : `${numbers}, ${duration(msUntil(expiresAt))} left`;
}

const msUntil = (at: number): number => Math.max(0, at - Date.now());

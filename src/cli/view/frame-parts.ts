import type { Snapshot } from "../../watch/snapshot.ts";
import { idleText } from "../../watch/story.ts";
import type { Frame } from "./view.ts";

const WHEEL = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

/** The mark of what is running. */
export const spinner = ({ tick, aborting, colors }: Frame): string =>
  aborting ? colors.yellow("↩") : colors.cyan(WHEEL[tick % WHEEL.length]);

/** The signal that Shift+S sends to a move, copy or migration; null where it would change nothing. */
export function goOnOf({ running, progress }: Snapshot): "confirm" | "skipLag" | null {
  if (!running) return null;
  if (progress?.phase === "paused") return "confirm";
  return progress?.phase === "running" && progress.step === "wait for lag" ? "skipLag" : null;
}

/** Says what to do about tasks that no worker takes. */
export const idleLines = ({ sheet, colors }: Frame, queue: string | null, snapshot: Snapshot): string[] =>
  queue === null ? [] : sheet.hang("  ", idleText(queue, snapshot), colors.yellow);

/** The end of every view: the answer to a key, the keys, and on lines of their own what one may want to copy. */
export function footer(
  { sheet, colors, logFile, notice, aborting }: Frame,
  { running, link }: Snapshot,
  keys: readonly string[],
): string[] {
  const shown = aborting ? ["^C leaves the cleanup to the background"] : keys;
  return [
    ...(notice === null ? [] : sheet.hang("  ", notice, colors.yellow)),
    ...(running ? sheet.hang("  ", shown.join(" · "), colors.dim) : []),
    ...sheet.hang("  ", logFile, colors.dim),
    ...(link === null ? [] : sheet.hang("  ", link, colors.dim)),
  ];
}

/** Makes a view fit: what is in its middle gives way, which the log has as well. */
export function fit({ sheet, colors }: Frame, head: string[], body: string[], tail: string[]): string[] {
  const room = Math.max(1, sheet.rows - 1 - head.length - tail.length);
  if (body.length <= room) return [...head, ...body, ...tail];
  const gone = body.length - room + 1;
  return [...head, ...body.slice(0, room - 1), colors.dim(`  … ${gone} more lines`), ...tail];
}

import type { Settings } from "../config/settings.ts";
import { linkTo } from "../temporal/connection.ts";
import type { Watch } from "../watch/watch.ts";
import type { Session } from "../worker/session.ts";
import { resultOf } from "./finish.ts";
import { follow } from "./follow.ts";
import type { Ui } from "./ui.ts";

/**
 * Starts a workflow or attaches to it, shows it, and prints its result: the common part of move, copy, rebalance and
 * attach. Returns the result, or null if there was nothing to start.
 */
export async function runWorkflow<T>(
  ui: Ui,
  settings: Settings,
  begin: (open: () => Promise<Session>) => Promise<Watch<T> | null>,
  summary: (result: T) => string,
): Promise<T | null> {
  const { Session: Opened } = await import("../worker/session.ts");
  // Needed once the islands have answered. It takes 0.1 s to load, and there is nothing else to do until then.
  void import("../temporal/sdk.ts");
  let session: Session | undefined;
  try {
    const watch = await begin(async () => (session ??= await Opened.open(settings, (line) => ui.say(line))));
    if (!watch) return null;
    const outcome = await follow(ui, session!, watch, logName(watch.workflowId));
    const result = resultOf(outcome, watch.workflowId);
    // A program has to be able to tell an earlier result from that of this run.
    const ended = watch.endedAt && { endedAt: watch.endedAt.toISOString() };
    const link = linkTo(session!.temporal.target, watch.workflowId, watch.runId);
    ui.result({ ...result, ...ended, link }, () => summary(result));
    return result;
  } finally {
    await session?.close();
  }
}

/** `move-sh0042` is about sh0042; in all other cases the id itself is the best name. */
const logName = (workflowId: string): string => workflowId.replace(/^move-/, "");

import type { Settings } from "../config/settings.ts";
import type { Watch } from "../watch/watch.ts";
import type { Session } from "../worker/session.ts";
import { resultOf } from "./finish.ts";
import { follow } from "./follow.ts";
import type { Ui } from "./ui.ts";

/**
 * Starts or attaches, shows, and prints the result: what move, copy, rebalance and attach have in common. Returns
 * the result; null when there was nothing to begin.
 */
export async function runWorkflow<T>(
  ui: Ui,
  settings: Settings,
  begin: (open: () => Promise<Session>) => Promise<Watch<T> | null>,
  summary: (result: T) => string,
): Promise<T | null> {
  const { Session: Opened } = await import("../worker/session.ts");
  // Needed once the islands have answered: it takes 0.1 s to load, and until then nothing else is to be done.
  void import("../temporal/sdk.ts");
  let session: Session | undefined;
  try {
    const watch = await begin(async () => (session ??= await Opened.open(settings, (line) => ui.say(line))));
    if (!watch) return null;
    const outcome = await follow(ui, session!, watch, logName(watch.workflowId));
    const result = resultOf(outcome, watch.workflowId);
    // A program has to be able to tell the result of long ago from that of now.
    const ended = watch.endedAt && { endedAt: watch.endedAt.toISOString() };
    ui.result({ ...result, ...ended }, () => summary(result));
    return result;
  } finally {
    await session?.close();
  }
}

/** `move-sh0042` is about sh0042; for all else the id says best what it is about. */
const logName = (workflowId: string): string => workflowId.replace(/^move-/, "");

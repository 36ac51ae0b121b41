import type { Settings } from "../config/settings.ts";
import type { Session } from "../operations/session.ts";
import type { Watch } from "../operations/watch.ts";
import { resultOf } from "./finish.ts";
import { follow } from "./follow.ts";
import type { Ui } from "./ui.ts";

/** Starts or attaches, shows, and prints the result: what move, copy and attach have in common. */
export async function runWorkflow<T>(
  ui: Ui,
  settings: Settings,
  begin: (session: Promise<Session>) => Promise<Watch<T>>,
  summary: (result: T) => string,
): Promise<void> {
  const { Session: Opened } = await import("../operations/session.ts");
  // Temporal is connected to while the islands are looked at.
  const opening = Opened.open(settings, (line) => ui.say(line));
  opening.catch(() => undefined);
  try {
    const watch = await begin(opening);
    const outcome = await follow(ui, await opening, watch, logName(watch.workflowId));
    const result = resultOf(outcome, watch.workflowId);
    ui.result(result, () => summary(result));
  } finally {
    await opening.then((session) => session.close()).catch(() => undefined);
  }
}

/** `move-sh0042` is about sh0042; for all else the id says best what it is about. */
const logName = (workflowId: string): string => workflowId.replace(/^move-/, "");

import { Argument } from "commander";

import { ISLANDS } from "../../config/options.ts";
import type { Settings } from "../../config/settings.ts";
import type { SentSignal, SteeringSignal, Watch } from "../../watch/watch.ts";
import type { Session } from "../../worker/session.ts";
import { type Action, defineAction } from "../action.ts";
import { resultOf } from "../finish.ts";
import { follow } from "../follow.ts";
import type { Ui } from "../ui.ts";

function steering(name: string, signal: SteeringSignal, done: string, example = "move-sh0042"): Action {
  return defineAction({
    options: ISLANDS,
    arguments: [new Argument("[workflow-id]", "which workflow; needed only if several are running")],
    examples: [`shardferry ${name} ${example}`],

    async run({ ui, args, load }) {
      const { settings: loaded } = await load();
      const { Session: Opened } = await import("../../worker/session.ts");
      const { nothingRuns, steer } = await import("../../operations/steer.ts");
      const session = await Opened.openExisting(loaded, (line) => ui.say(line));
      if (!session) throw nothingRuns(signal, args[0]);
      try {
        const at = Date.now();
        const watch = await steer(session.temporal, signal, args[0]);
        await workOffIfNobodyDoes(ui, session, loaded, watch, { name: signal, at });
        const { workflowId } = watch;
        ui.result({ workflowId, signal }, () => `${workflowId}: ${done}`);
      } finally {
        await session.close();
      }
    },
  });
}

/** With the embedded server, a workflow stalls when its command is killed; this command then does its work. */
async function workOffIfNobodyDoes(
  ui: Ui,
  session: Session,
  { dsns }: Settings,
  watch: Watch<unknown>,
  signal: SentSignal,
): Promise<void> {
  const { workflowId } = watch;
  if (!session.temporal.target.embedded || session.hasEmbeddedWorker) return;
  // Otherwise this command would follow a paused rebalance until somebody confirms it.
  if (dsns.length === 0 || signal.name === "pause") {
    return ui.say(
      `no worker is running for ${workflowId}: run \`shardferry attach ${workflowId}\` with --dsns`,
    );
  }
  session.work(dsns);
  const outcome = await follow(ui, session, watch, workflowId.replace(/^move-/, ""), signal);
  if (outcome.kind !== "aborted" || signal.name !== "abort") resultOf(outcome, workflowId);
}

export const confirm = steering("confirm", "confirm", "confirmed.");
export const pause = steering(
  "pause",
  "pause",
  "starts no more moves; running moves continue; `shardferry confirm rebalance` starts the others.",
  "rebalance",
);
export const skipLag = steering("skip-lag", "skipLag", "continues without waiting for replication lag.");
export const abort = steering(
  "abort",
  "abort",
  "aborted, or about to be; `shardferry attach` shows the cleanup.",
);

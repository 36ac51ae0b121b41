import type { SteeringSignal } from "../operations/watch.ts";
import { type Action, withDsns, withExample } from "./action.ts";

function steering(name: string, signal: SteeringSignal, done: string): Action {
  return {
    define(command) {
      withDsns(command).argument("[workflow-id]", "which one; needed only where several run");
      withExample(command, `shardferry ${name} move-sh0042`);
    },

    async run({ ui, args, settings }) {
      const loaded = await settings();
      const { Session } = await import("../operations/session.ts");
      const { attach } = await import("../operations/steer.ts");
      const session = await Session.open(loaded, (line) => ui.say(line));
      try {
        const watch = await attach(session.temporal, args[0]);
        await watch.signal(signal);
        const { workflowId } = watch;
        if (session.temporal.target.embedded && !session.hasEmbeddedWorker) {
          ui.say(`nobody works ${workflowId} off at present: run \`shardferry attach ${workflowId}\``);
        }
        ui.result({ workflowId, signal }, () => `${workflowId}: ${done}`);
      } finally {
        await session.close();
      }
    },
  };
}

export const confirm = steering("confirm", "confirm", "confirmed.");
export const skipLag = steering("skip-lag", "skipLag", "told to go on without waiting for replication lag.");
export const abort = steering("abort", "abort", "told to abort; `shardferry attach` shows the clean-up.");

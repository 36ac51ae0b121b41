import { UsageError } from "../errors.ts";
import { type Action, withDsns, withExample } from "./action.ts";
import { runWorkflow } from "./run-workflow.ts";

export const attach: Action = {
  define(command) {
    withDsns(command).argument("[workflow-id]", "what to watch; needed only where several run");
    withExample(command, "shardferry attach move-sh0042");
  },

  async run({ ui, args, settings }) {
    const loaded = await settings();
    const { attach: attachTo } = await import("../operations/steer.ts");
    await runWorkflow(
      ui,
      loaded,
      async (open) => {
        const session = await open();
        const watch = await attachTo(session.temporal, args[0]);
        if (session.temporal.target.embedded && loaded.dsns.length === 0 && !session.hasEmbeddedWorker) {
          throw new UsageError("Nobody works this off: give --dsns (or DSNS), so that this command can.");
        }
        if (loaded.dsns.length > 0) session.work(loaded.dsns);
        return watch;
      },
      (result) => (result === null || result === undefined ? "Done." : JSON.stringify(result, null, 2)),
    );
  },
};

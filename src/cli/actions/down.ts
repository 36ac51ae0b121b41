import { type Action, withExample } from "../action.ts";

export const down: Action = {
  define(command) {
    withExample(command, "shardferry down");
  },

  async run({ ui, settings }) {
    const { env } = await settings();
    const { stopServer } = await import("../../temporal/embedded.ts");
    const stopped = await stopServer(env);
    ui.result(stopped, () => {
      const workers = stopped.workers > 0 ? `${stopped.workers} workers and ` : "";
      return stopped.server
        ? `Stopped ${workers}the embedded Temporal server.`
        : "No embedded Temporal server runs.";
    });
  },
};

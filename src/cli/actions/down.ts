import { defineAction } from "../action.ts";

export const down = defineAction({
  examples: ["shardferry down"],

  async run({ ui, load }) {
    const {
      settings: { env },
    } = await load();
    const { stopServer } = await import("../../temporal/embedded.ts");
    const stopped = await stopServer(env);
    ui.result(stopped, () => {
      const workers = stopped.workers > 0 ? `${stopped.workers} workers and ` : "";
      return stopped.server
        ? `Stopped ${workers}the embedded Temporal server.`
        : "No embedded Temporal server is running.";
    });
  },
});

import { YES } from "../../config/options.ts";
import { plural } from "../../format.ts";
import { defineAction } from "../action.ts";
import { askYesNo } from "../ask.ts";

export const down = defineAction({
  options: { yes: YES },
  examples: ["shardferry down"],

  async run({ ui, load }) {
    const {
      settings: { env },
      request: { yes },
    } = await load();
    const { runningOnEmbedded } = await import("../../operations/down.ts");
    const running = await runningOnEmbedded(env, (line) => ui.say(line));
    if (running.length > 0) {
      ui.say(
        `Running: ${running.join(", ")}. While the server is stopped, the source of a move keeps WAL for its slot. ` +
          `The same command, or \`shardferry attach\`, starts the server and continues the work; \`shardferry abort\` undoes it.`,
      );
      // Scripts cannot answer, and have always been able to stop the server.
      if (ui.interactive && !yes && !(await askYesNo(ui, "Stop the server?"))) {
        ui.result({ workers: 0, server: false, running }, () => "Nothing was stopped.");
        return;
      }
    }
    const { stopServer } = await import("../../temporal/embedded.ts");
    const stopped = await stopServer(env);
    ui.result({ ...stopped, running }, () => {
      const workers = stopped.workers > 0 ? `${plural(stopped.workers, "worker")} and ` : "";
      return stopped.server
        ? `Stopped ${workers}the embedded Temporal server.`
        : "No embedded Temporal server is running.";
    });
  },
});

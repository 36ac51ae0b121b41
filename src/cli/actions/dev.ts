import { once } from "node:events";

import { ISLANDS } from "../../config/options.ts";
import { UsageError } from "../../errors.ts";
import { defineAction } from "../action.ts";

export const dev = defineAction({
  options: ISLANDS,
  examples: ["shardferry dev --dsns=host1,host2"],

  async run({ ui, load }) {
    const { settings: loaded } = await load();
    const [{ configuredTarget, resolveTarget }, { runningServer, stopServer, uiOf }, { serve }] =
      await Promise.all([
        import("../../temporal/connection.ts"),
        import("../../temporal/embedded.ts"),
        import("../../operations/worker.ts"),
      ]);
    const configured = await configuredTarget(loaded.env);
    if (configured) {
      throw new UsageError(
        `Temporal at ${configured.address} is configured, and dev runs the embedded server only. Run \`shardferry worker\` instead.`,
      );
    }
    const mine = runningServer(loaded.env) === null;
    const target = await resolveTarget(loaded.env, () => undefined);
    const running = await serve(loaded, (line) => ui.say(line), target);
    ui.say(
      `Temporal at ${target.address}, UI ${uiOf(target.embedded!)}; worker for ${running.islands.join(", ")}`,
    );
    await Promise.race([
      once(process, "SIGTERM"),
      once(process, "SIGINT"),
      once(process, "SIGHUP"),
      running.failed,
    ]);
    ui.say("stopping");
    await running.stop();
    if (mine) await stopServer(loaded.env);
    ui.result({ stopped: true }, () => "");
  },
});

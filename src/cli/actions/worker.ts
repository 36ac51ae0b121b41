import { once } from "node:events";

import { ISLANDS } from "../../config/options.ts";
import { defineAction } from "../action.ts";

export const worker = defineAction({
  options: ISLANDS,
  examples: ["TEMPORAL_ADDRESS=temporal:7233 shardferry worker --dsns=host1,host2"],

  async run({ ui, load }) {
    const { settings: loaded } = await load();
    const { serve } = await import("../../operations/worker.ts");
    const running = await serve(loaded, (line) => ui.say(line));
    const { address, namespace } = running.target;
    ui.say(`worker ready: ${address}, namespace ${namespace}; islands ${running.islands.join(", ")}`);
    await Promise.race([once(process, "SIGTERM"), once(process, "SIGINT"), running.failed]);
    ui.say("worker stops; running steps finish or are left to another worker");
    await running.stop();
    ui.result({ stopped: true }, () => "");
  },
});

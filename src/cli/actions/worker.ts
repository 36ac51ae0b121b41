import { once } from "node:events";

import { type Action, withDsns, withExample } from "../action.ts";

export const worker: Action = {
  define(command) {
    withDsns(command);
    withExample(command, "TEMPORAL_ADDRESS=temporal:7233 shardferry worker --dsns=host1,host2");
  },

  async run({ ui, settings }) {
    const loaded = await settings();
    const { serve } = await import("../../operations/worker.ts");
    const running = await serve(loaded, (line) => ui.say(line));
    const { address, namespace } = running.target;
    ui.say(`worker ready: ${address}, namespace ${namespace}; islands ${running.islands.join(", ")}`);
    await Promise.race([once(process, "SIGTERM"), once(process, "SIGINT"), running.failed]);
    ui.say("worker stops: running steps end or are handed on");
    await running.stop();
    ui.result({ stopped: true }, () => "");
  },
};

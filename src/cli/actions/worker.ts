import { once } from "node:events";

import { ISLANDS, WORKER } from "../../config/options.ts";
import type { StepEvent } from "../../worker/step-log.ts";
import { defineAction } from "../action.ts";
import type { Ui } from "../ui.ts";

export const worker = defineAction({
  options: { ...ISLANDS, ...WORKER },
  examples: [
    "TEMPORAL_ADDRESS=temporal:7233 shardferry worker --dsns=host1,host2",
    "shardferry worker --log=json --health=127.0.0.1:8080",
  ],

  async run({ ui, load }) {
    const { settings: loaded, request } = await load();
    const [{ serve }, { serveHealth }, { lineOf }] = await Promise.all([
      import("../../operations/worker.ts"),
      import("../../worker/health.ts"),
      import("../../worker/step-log.ts"),
    ]);
    const log = request.log === "json" ? jsonLog(ui) : textLog(ui, lineOf);
    const running = await serve(loaded, (line) => log({ event: line }), undefined, log);
    const health = request.health && (await serveHealth(request.health, () => running.health()));
    const { address, namespace } = running.target;
    const at = health ? `; health at http://${health.address}/healthz` : "";
    log({
      event: `worker ready: ${address}, namespace ${namespace}; islands ${running.islands.join(", ")}${at}`,
    });
    await Promise.race([once(process, "SIGTERM"), once(process, "SIGINT"), running.failed]);
    log({ event: "worker stops; running steps finish or are left to another worker" });
    await running.stop();
    if (health) health.close();
    ui.result({ stopped: true }, () => "");
  },
});

type Entry = StepEvent | { event: string };

const textLog =
  (ui: Ui, lineOf: (event: StepEvent) => string) =>
  (entry: Entry): void =>
    ui.say("workflowId" in entry ? lineOf(entry) : entry.event);

/** One JSON document a line, for collectors of logs. */
const jsonLog =
  (ui: Ui) =>
  (entry: Entry): void => {
    const level = entry.event === "step failed" ? "warning" : "info";
    ui.document({ time: new Date().toISOString(), level, ...entry });
  };

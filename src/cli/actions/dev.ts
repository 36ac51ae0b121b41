import { once } from "node:events";

import { ISLANDS, SANDBOX } from "../../config/options.ts";
import type { Settings } from "../../config/settings.ts";
import type { Playground } from "../../demo/playground.ts";
import { UsageError } from "../../errors.ts";
import { packageFolder } from "../../machine/package-folder.ts";
import { defineAction } from "../action.ts";

export const dev = defineAction({
  options: { ...ISLANDS, sandbox: SANDBOX },
  examples: ["shardferry dev --sandbox=3", "shardferry dev --dsns=host1,host2"],

  async run({ ui, load }) {
    const { settings: loaded, request } = await load();
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
    // Until here, a signal ends this process at once, and the islands with it.
    const playground = request.sandbox ? await openPlayground(request.sandbox, (line) => ui.say(line)) : null;
    const told = Promise.race(["SIGTERM", "SIGINT", "SIGHUP"].map((signal) => once(process, signal)));
    const settings = playground ? settingsOf(playground, loaded) : loaded;
    const mine = runningServer(settings.env) === null;
    const target = await resolveTarget(settings.env, () => undefined);
    playground?.adopt(target.embedded!.pid);
    const { lineOf } = await import("../../worker/step-log.ts");
    const running = await serve(
      settings,
      (line) => ui.say(line),
      target,
      (event) => ui.say(lineOf(event)),
    );
    ui.say(
      `Temporal at ${target.address}, UI ${uiOf(target.embedded!)}; worker for ${running.islands.join(", ")}`,
    );
    if (playground) ui.progress.write(invitation(playground));
    await Promise.race([told, running.failed]);
    ui.say("stopping");
    await running.stop();
    if (mine) await stopServer(settings.env);
    if (playground) {
      ui.say(await playground.balance());
      await playground.close();
    }
    ui.result({ stopped: true }, () => "");
  },
});

async function openPlayground(islands: number, say: (line: string) => void): Promise<Playground> {
  const { Playground } = await import("../../demo/playground.ts");
  return Playground.open(islands, say);
}

/** The settings of a user who has pasted the line of the playground. */
const settingsOf = ({ dsns, stateFolder }: Playground, loaded: Settings): Settings => ({
  ...loaded,
  dsns,
  env: { ...loaded.env, SHARDFERRY_STATE_DIR: stateFolder },
});

/** What to do now. Without the time of a log line, because it is there to be pasted. */
function invitation({ exportLine, islands, shards }: Playground): string {
  const program = packageFolder().includes("node_modules") ? "npx shardferry" : "bin/shardferry";
  return `
The playground is ready: ${islands.length} islands with ${shards} shards, and an application that writes to all of them.
In another terminal, paste this line:

${exportLine}

and try:

  ${program} list
  ${program} move --shard=1 --to=${islands.at(-1)!} --activate-on-destination=yes
  ${program} rebalance

^C here or \`${program} down\` there ends everything that was started, and removes it.
`;
}

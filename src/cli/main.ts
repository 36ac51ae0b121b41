import { Command, CommanderError, Option } from "commander";

import { closest } from "../config/closest.ts";
import { EXIT, UsageError } from "../errors.ts";
import { packageVersion } from "../machine/package-folder.ts";
import { explainLost } from "../postgres/islands/lost-session.ts";
import { explainGone } from "../watch/outcome.ts";
import type { Action, Invocation } from "./action.ts";
import { ACTIONS, findAction } from "./actions/index.ts";
import { commandOf } from "./command.ts";
import { DetachedError, exitStatusOf } from "./exit.ts";
import { Ui } from "./ui.ts";

const EXAMPLE = `
Example:
  shardferry move --shard=42 --to=host2 --activate-on-destination=yes --dsns=host1,host2

The environment and shardferry.config.ts can give defaults for every option; see the --help of each action.`;

/** Runs the command line and returns its exit status. */
export async function main(argv: readonly string[]): Promise<number> {
  const ui = new Ui(argv.includes("--json"));
  const written: string[] = [];
  try {
    const status = (await run(argv, ui, written)) ?? EXIT.done;
    if (written.length > 0) showText(ui, "help", written);
    return status;
  } catch (error) {
    // Commander throws for help and version, too.
    if (error instanceof CommanderError && error.exitCode === 0) {
      showText(ui, error.code === "commander.version" ? "version" : "help", written);
      return EXIT.done;
    }
    const shown =
      error instanceof CommanderError
        ? new UsageError(messageOfCommander(error))
        : explainLost(explainGone(error));
    ui.error(shown);
    // Without a terminal to reset, Node.js crashes when it exits; the signal ends it like any other program.
    if (shown instanceof DetachedError && shown.hungUp) process.kill(process.pid, "SIGHUP");
    return exitStatusOf(shown);
  }
}

/** Help and version are documents, too, if that is asked for. */
function showText(ui: Ui, what: "help" | "version", written: readonly string[]): void {
  const text = written.join("").trimEnd();
  ui.result({ [what]: text }, () => text);
}

async function run(argv: readonly string[], ui: Ui, written: string[]): Promise<number | void> {
  const output = { writeOut: (text: string) => void written.push(text), writeErr: () => undefined };
  // "help move" is "move --help".
  const args = argv[0] === "help" ? [...argv.slice(1), "--help"] : [...argv];
  const name = args.find((arg) => !arg.startsWith("-"));
  if (name === undefined) {
    const program = usage().configureOutput(output);
    if (args.length === 0) program.outputHelp();
    else await program.parseAsync(args, { from: "user" });
    return;
  }
  const entry = findAction(name);
  if (!entry) {
    const meant = closest(name, Object.keys(ACTIONS));
    const hint = meant === null ? "" : ` Did you mean "${meant}"?`;
    throw new UsageError(
      `Unknown action "${name}".${hint} The actions are: ${Object.keys(ACTIONS).join(", ")}.`,
    );
  }
  const action = await entry.load();
  const command = commandOf(`shardferry ${entry.name}`, entry.summary, action)
    .exitOverride()
    .configureOutput(output);
  let status: number | void = undefined;
  command.action(async () => {
    status = await action.run(invocation(entry.name, action, command, ui));
  });
  args.splice(args.indexOf(name), 1);
  try {
    await command.parseAsync(args, { from: "user" });
    return status;
  } catch (error) {
    if (!(error instanceof CommanderError) || error.code !== "commander.unknownOption") throw error;
    const known = command.options.map(({ long, short }) => long ?? short).join(", ");
    throw new UsageError(`${messageOfCommander(error)} The options of ${entry.name} are: ${known}.`);
  }
}

function usage(): Command {
  const program = new Command("shardferry")
    .description("Moves, copies and rebalances PostgreSQL microshards between live servers.")
    .usage("ACTION [options]")
    .version(packageVersion(), "-v, --version")
    .helpCommand(false)
    .addHelpText("after", EXAMPLE)
    .addOption(new Option("--json").hideHelp())
    .exitOverride();
  for (const [name, { summary, aliases = [] }] of Object.entries(ACTIONS)) {
    program.command(name).aliases(aliases).description(summary);
  }
  return program;
}

function invocation(name: string, { options: own = {} }: Action, command: Command, ui: Ui): Invocation {
  const options: Readonly<Record<string, unknown>> = command.opts();
  const load: Invocation["load"] = async () => {
    const { loadRequest } = await import("../config/settings.ts");
    const source = { action: name, options, skipConfig: options["skipConfig"] === true };
    const loaded = await loadRequest(source, own);
    ui.dsns = loaded.settings.dsns;
    return loaded;
  };
  return { ui, actions: ACTIONS, args: command.args, load };
}

const messageOfCommander = (error: CommanderError): string =>
  `${error.message.replace(/^error: |\.$/g, "").replace(/^./, (first) => first.toUpperCase())}.`;

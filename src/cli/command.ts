import { Command } from "commander";

import { helpOf } from "../config/option.ts";
import { COMMON } from "../config/options.ts";
import type { Action } from "./action.ts";

/** Creates the command of an action: its arguments, its options with their help, and examples. */
export function commandOf(name: string, summary: string, action: Action): Command {
  const command = new Command(name).description(summary).allowExcessArguments(false);
  for (const argument of action.arguments ?? []) command.addArgument(argument);
  for (const option of Object.values({ ...action.options, ...COMMON }))
    command.option(option.flag, helpOf(option));
  const examples = action.examples.map((line) => `  ${line}`).join("\n");
  return command.addHelpText("after", `\nExample:\n${examples}`);
}

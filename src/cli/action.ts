import type { Command } from "commander";
import type * as z from "zod";

import type { Settings } from "../config/settings.ts";
import type { Ui } from "./ui.ts";

/** What an action is run with. */
export interface Invocation {
  readonly ui: Ui;
  /** Arguments that are not options. */
  readonly args: readonly string[];
  /** Every action there is. */
  readonly actions: Actions;
  /** Options as given, by their camel-case names; yet to be checked. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Checks the options of the action and the settings; all problems are reported together. */
  request<T>(schema: z.ZodType<T>): Promise<{ settings: Settings; request: T }>;
  /** Checks the settings of an action that has no options of its own. */
  settings(): Promise<Settings>;
}

/** An action of the command line: how it is called, and what it does. */
export interface Action {
  /** Adds description, options and an example to the command. */
  define(command: Command): void;
  /** Answers the exit status where it is not 0 although the action has shown its result. */
  run(invocation: Invocation): Promise<number | void>;
}

/** An action in the list of all of them. */
export interface ActionEntry {
  readonly summary: string;
  readonly aliases?: readonly string[];
  /** Loaded only when it is called, so that the help is there at once. */
  readonly load: () => Promise<Action>;
}

/** Actions by their names, in the order of the help. */
export type Actions = Readonly<Record<string, ActionEntry>>;

/** The islands to work on. */
export function withDsns(command: Command): Command {
  return command
    .option(
      "--dsns <dsn,…>",
      "databases, as postgresql://user:pass@host:port/db or host:port/db (DSNS, PGDSNS, PGHOST)",
    )
    .option("--dsn <dsn>", "the same as --dsns");
}

/** How a schema is replicated; shared by move, copy and rebalance. */
export function withReplication(command: Command): Command {
  return command
    .option("--wait [yes|no]", "pause before the last step until `shardferry confirm` or Shift+S")
    .option("--validate-fks [yes|no]", "validate foreign keys; otherwise they arrive NOT VALID")
    .option(
      "--max-replication-lag-sec <n>",
      "seconds of lag that heavy steps wait to fall below (default 20)",
    );
}

/** Adds an example to a command's help. */
export function withExample(command: Command, ...lines: string[]): Command {
  return command.addHelpText("after", `\nExample:\n${lines.map((line) => `  ${line}`).join("\n")}`);
}

/** The options that every action has. */
export function withCommonOptions(command: Command): Command {
  return command
    .option("--skip-config", "do not look for shardferry.config.ts")
    .option("--json", "print the result as one JSON document");
}

import type { Actions } from "../action.ts";
import { commandOf } from "../command.ts";
import type { ValueKind } from "./values.ts";

/** An option for the shell to complete. */
export interface OptionWord {
  /** With its dashes. */
  readonly flag: string;
  readonly summary: string;
  readonly value: "none" | "optional" | "required";
  /** What its value names; null if the shell completes it in its own way. */
  readonly names: ValueKind | null;
}

/** An action for the shell to complete. */
export interface ActionWord {
  /** Its name and its aliases. */
  readonly names: readonly string[];
  readonly summary: string;
  readonly options: readonly OptionWord[];
  /** The possible values of its arguments, if they are known. */
  readonly words: readonly string[];
  /** True if an argument is the id of a workflow. */
  readonly takesWorkflow: boolean;
}

/** The options whose values are looked up. */
const NAMED: Readonly<Record<string, ValueKind>> = {
  "--shard": "shards",
  "--shards": "shards",
  "--from": "islands",
  "--to": "islands",
  "--decommission": "islands",
};

/** Reads what can be typed from the definitions of the actions themselves, so that nothing is forgotten. */
export async function readGrammar(actions: Actions): Promise<ActionWord[]> {
  return Promise.all(
    Object.entries(actions).map(async ([name, { summary, aliases = [], load }]) => {
      const command = commandOf(name, summary, await load());
      return {
        names: [name, ...aliases],
        summary,
        options: [
          ...command.options.map(({ long, short, description, required, optional }): OptionWord => ({
            flag: long ?? short ?? "",
            summary: description,
            value: required ? "required" : optional ? "optional" : "none",
            names: NAMED[long ?? ""] ?? null,
          })),
          { flag: "--help", summary: "show the help of this action", value: "none" as const, names: null },
        ],
        words: command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []),
        takesWorkflow: command.registeredArguments.some((argument) => argument.name() === "workflow-id"),
      };
    }),
  );
}

import type { Actions } from "../action.ts";
import { commandOf } from "../command.ts";

/** An option for the shell to complete. */
export interface OptionWord {
  /** With its dashes. */
  readonly flag: string;
  readonly summary: string;
  readonly value: "none" | "optional" | "required";
}

/** An action for the shell to complete. */
export interface ActionWord {
  /** Its name and its aliases. */
  readonly names: readonly string[];
  readonly summary: string;
  readonly options: readonly OptionWord[];
  /** The possible values of its arguments, if they are known. */
  readonly words: readonly string[];
}

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
          })),
          { flag: "--help", summary: "show the help of this action", value: "none" as const },
        ],
        words: command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []),
      };
    }),
  );
}

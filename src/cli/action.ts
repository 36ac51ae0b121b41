import type { Argument } from "commander";

import type { Options, RequestOf } from "../config/option.ts";
import type { Settings } from "../config/settings.ts";
import type { Ui } from "./ui.ts";

/** The input of a run of an action. */
export interface Invocation<Request = RequestOf<Options>> {
  readonly ui: Ui;
  /** Arguments that are not options. */
  readonly args: readonly string[];
  /** All actions. */
  readonly actions: Actions;
  /** Checks the options of the action and the settings; reports all problems together. */
  load(): Promise<{ settings: Settings; request: Request }>;
}

/** An action of the command line: how to call it, and what it does. */
export interface Action<O extends Options = Options> {
  readonly options?: O;
  /** Its arguments besides options. */
  readonly arguments?: readonly Argument[];
  /** Command lines shown below its help. */
  readonly examples: readonly string[];
  /** Returns the exit status if it is not 0 although the action has shown its result. */
  run(invocation: Invocation<RequestOf<O>>): Promise<number | void>;
}

/** Defines an action; its request has the types of its options. */
export const defineAction = <O extends Options>(action: Action<O>): Action => action;

/** An action in the list of all of them. */
export interface ActionEntry {
  readonly summary: string;
  readonly aliases?: readonly string[];
  /** Loaded only when called, so that the help appears at once. */
  readonly load: () => Promise<Action>;
}

/** Actions by their names, in the order of the help. */
export type Actions = Readonly<Record<string, ActionEntry>>;

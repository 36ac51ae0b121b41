import { EXIT } from "../../errors.ts";
import { type Action, withExample } from "../action.ts";

export const demo: Action = {
  define(command) {
    withExample(command, "shardferry demo");
  },

  async run({ ui }) {
    const { runDemo } = await import("../../demo/run.ts");
    const result = await runDemo((line) => ui.say(line));
    ui.result(result, () => "");
    return EXIT.done;
  },
};

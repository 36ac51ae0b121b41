import { EXIT } from "../../errors.ts";
import { defineAction } from "../action.ts";

export const demo = defineAction({
  examples: ["shardferry demo"],

  async run({ ui }) {
    const { runDemo } = await import("../../demo/run.ts");
    const result = await runDemo((line) => ui.say(line));
    ui.result(result, () => "");
    return EXIT.done;
  },
});

import { type Action, withExample } from "./action.ts";

/** The body of the demo is large and used by nothing else, so it is found at run time. */
const BODY = "../demo/run.ts";

interface Demo {
  runDemo(say: (line: string) => void): Promise<unknown>;
}

export const demo: Action = {
  define(command) {
    withExample(command, "shardferry demo");
  },

  async run({ ui }) {
    const { runDemo } = (await import(BODY)) as Demo;
    ui.result(await runDemo((line) => ui.say(line)), () => "");
  },
};

import { Argument } from "commander";

import { UsageError } from "../../errors.ts";
import { defineAction } from "../action.ts";
import { readGrammar } from "../completion/grammar.ts";
import { completionScript, type Shell, SHELLS } from "../completion/scripts.ts";

export const completion = defineAction({
  arguments: [new Argument("<shell>", "the shell to complete in").choices(SHELLS)],
  examples: [
    "source <(shardferry completion bash)",
    "source <(shardferry completion zsh)",
    "shardferry completion fish | source",
  ],

  async run({ ui, args, actions }) {
    const shell = args[0] as Shell | undefined;
    if (shell === undefined) throw new UsageError(`Give a shell: one of ${SHELLS.join(", ")}.`);
    const script = completionScript(shell, await readGrammar(actions));
    ui.result({ shell, script }, () => script);
  },
});

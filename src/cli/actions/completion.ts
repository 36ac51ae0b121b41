import { Argument } from "commander";

import { UsageError } from "../../errors.ts";
import { type Action, withExample } from "../action.ts";
import { readGrammar } from "../completion/grammar.ts";
import { completionScript, type Shell, SHELLS } from "../completion/scripts.ts";

export const completion: Action = {
  define(command) {
    command.addArgument(new Argument("<shell>", "the shell to complete in").choices(SHELLS));
    withExample(
      command,
      "source <(shardferry completion bash)",
      "source <(shardferry completion zsh)",
      "shardferry completion fish | source",
    );
  },

  async run({ ui, args, actions }) {
    const shell = args[0] as Shell | undefined;
    if (shell === undefined) throw new UsageError(`Give one of ${SHELLS.join(", ")}.`);
    const script = completionScript(shell, await readGrammar(actions));
    ui.result({ shell, script }, () => script);
  },
};

import { Argument } from "commander";

import { UsageError } from "../../errors.ts";
import { defineAction } from "../action.ts";
import { readGrammar } from "../completion/grammar.ts";
import { completionScript, type Shell, SHELLS } from "../completion/scripts.ts";
import { completionValues, VALUE_KINDS, type ValueKind } from "../completion/values.ts";

export const completion = defineAction({
  arguments: [
    new Argument("<shell>", "the shell to complete in; the other choices are for its script").choices([
      ...SHELLS,
      ...VALUE_KINDS,
    ]),
  ],
  examples: [
    "source <(shardferry completion bash)",
    "source <(shardferry completion zsh)",
    "shardferry completion fish | source",
  ],

  async run({ ui, args, actions, load }) {
    const what = args[0] as Shell | ValueKind | undefined;
    if (what === undefined) throw new UsageError(`Give a shell: one of ${SHELLS.join(", ")}.`);
    if (isKind(what)) {
      const values = await completionValues(what, load);
      return ui.result({ [what]: values }, () => values.join("\n"));
    }
    const script = completionScript(what, await readGrammar(actions));
    ui.result({ shell: what, script }, () => script);
  },
});

const isKind = (what: Shell | ValueKind): what is ValueKind => VALUE_KINDS.some((kind) => kind === what);

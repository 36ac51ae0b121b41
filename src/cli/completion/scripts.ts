import type { ActionWord, OptionWord } from "./grammar.ts";
import { VALUE_KINDS, type ValueKind } from "./values.ts";

/** The supported shells. */
export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/** Writes the script that makes a shell complete `shardferry`. */
export function completionScript(shell: Shell, actions: readonly ActionWord[]): string {
  return { bash, zsh, fish }[shell](actions);
}

/** Quotes a word so that no shell takes it for anything else. */
const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

const flagWord = ({ flag, value }: OptionWord): string => (value === "required" ? `${flag}=` : flag);

function bash(actions: readonly ActionWord[]): string {
  const cases = actions.map(
    ({ names, options, words }) =>
      `    ${names.join("|")}) words=${quote([...words, ...options.map(flagWord)].join(" "))} ;;`,
  );
  const kinds = VALUE_KINDS.flatMap((kind) => {
    const flags = flagsOf(actions, kind);
    return flags.length === 0 ? [] : [`    ${flags.join("|")}) kind=${kind} ;;`];
  });
  return `# Completion of shardferry for bash: source <(shardferry completion bash)
_shardferry() {
  local current="\${COMP_WORDS[COMP_CWORD]}" action="" word words="" flag="" kind="" typed="" i
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    if [[ $word != -* ]]; then action=$word; break; fi
  done
  COMPREPLY=()
  # "=" and ":" are words of their own.
  for ((i = COMP_CWORD; i > 1; i--)); do
    if [[ \${COMP_WORDS[i]} == "=" ]]; then flag=\${COMP_WORDS[i-1]}; break; fi
    if [[ \${COMP_WORDS[i]} == -* ]]; then break; fi
    typed=\${COMP_WORDS[i]}$typed
  done
  case $flag in
    "") ;;
${kinds.join("\n")}
    # Other values are left to the shell.
    *) return ;;
  esac
  if [[ $flag == "" && $current != -* ]]; then
    case $action in
      ${workflowActions(actions).join("|")}) kind=workflows; typed=$current ;;
    esac
  fi
  if [[ $kind != "" ]]; then
    words=$(shardferry completion $kind 2>/dev/null)
    COMPREPLY=($(compgen -W "$words" -- "$typed"))
    if [[ $typed == *:* ]]; then COMPREPLY=("\${COMPREPLY[@]#"\${typed%:*}:"}"); fi
    return
  fi
  case $action in
    "") words=${quote([...actions.flatMap(({ names }) => names), "--help", "--version"].join(" "))} ;;
${cases.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  if [[ \${COMPREPLY[0]} == *= ]]; then compopt -o nospace 2>/dev/null; fi
}
complete -o default -F _shardferry shardferry
`;
}

const flagsOf = (actions: readonly ActionWord[], kind: ValueKind): string[] => [
  ...new Set(actions.flatMap(({ options }) => options.filter((o) => o.names === kind).map((o) => o.flag))),
];

const workflowActions = (actions: readonly ActionWord[]): string[] =>
  actions.filter(({ takesWorkflow }) => takesWorkflow).flatMap(({ names }) => names);

function zsh(actions: readonly ActionWord[]): string {
  // Brackets and colons have a meaning in the specifications of _arguments.
  const described = (text: string): string => text.replace(/[\\[\]:]/g, "\\$&");
  const spec = ({ flag, summary, value, names: kind }: OptionWord): string => {
    const [sign, argument] =
      value === "required"
        ? ["=", `:value:${kind ? ` _shardferry_values ${kind}` : "_default"}`]
        : value === "optional"
          ? ["=-", "::value:(yes no)"]
          : ["", ""];
    return quote(`${flag}${sign}[${described(summary)}]${argument}`);
  };
  const names = actions.flatMap((action) => action.names.map((name) => ({ ...action, name })));
  const cases = actions.map(({ names, options, words, takesWorkflow }) => {
    const specs = [
      ...options.map(spec),
      ...(words.length > 0 ? [quote(`1:what:(${words.join(" ")})`)] : []),
      ...(takesWorkflow ? [quote("1:workflow: _shardferry_values workflows")] : []),
    ];
    return `    (${names.join("|")})\n      _arguments -s \\\n        ${specs.join(" \\\n        ")} ;;`;
  });
  return `#compdef shardferry
# Completion of shardferry for zsh: source <(shardferry completion zsh), after compinit; or a file _shardferry in $fpath.
_shardferry_values() {
  local -a found=(\${(f)"$(shardferry completion $1 2>/dev/null)"})
  compadd -a found
}
_shardferry() {
  local curcontext=$curcontext state line
  local -a actions=(
${names.map(({ name, summary }) => `    ${quote(`${name}:${described(summary)}`)}`).join("\n")}
  )
  _arguments -C '1:action:->action' '*::argument:->arguments'
  if [[ $state == action ]]; then
    _describe action actions
    return
  fi
  case $words[1] in
${cases.join("\n")}
  esac
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _shardferry "$@"; else compdef _shardferry shardferry; fi
`;
}

function fish(actions: readonly ActionWord[]): string {
  const word = (text: string): string => `'${text.replace(/[\\']/g, "\\$&")}'`;
  const values = (kind: ValueKind): string => word(`(shardferry completion ${kind} 2>/dev/null)`);
  const lines = actions.flatMap(({ names, summary, options, words, takesWorkflow }) => {
    const when = `-n ${word(`__fish_seen_subcommand_from ${names.join(" ")}`)}`;
    return [
      ...names.map(
        (name) => `complete -c shardferry -f -n __fish_use_subcommand -a ${name} -d ${word(summary)}`,
      ),
      ...words.map((one) => `complete -c shardferry -f ${when} -a ${word(one)}`),
      ...(takesWorkflow ? [`complete -c shardferry -f ${when} -a ${values("workflows")}`] : []),
      ...options.map(
        ({ flag, summary: text, value, names: kind }) =>
          `complete -c shardferry ${when} -l ${flag.replace(/^--/, "")}${value === "required" ? " -r" : ""}` +
          `${kind ? ` -f -a ${values(kind)}` : ""} -d ${word(text)}`,
      ),
    ];
  });
  return `# Completion of shardferry for fish: shardferry completion fish | source\n${lines.join("\n")}\n`;
}

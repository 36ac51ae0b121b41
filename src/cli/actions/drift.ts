import { ISLANDS } from "../../config/options.ts";
import { DRIFT } from "../../config/shard-options.ts";
import type { ComparedShard } from "../../drift/read.ts";
import { isComment, isOutside } from "../../drift/statements.ts";
import { EXIT } from "../../errors.ts";
import { plural } from "../../format.ts";
import type { Difference, Drift, DriftGroup, ShardFix } from "../../index.ts";
import { defineAction } from "../action.ts";
import type { Ui } from "../ui.ts";

export const drift = defineAction({
  options: { ...ISLANDS, ...DRIFT },
  examples: ["shardferry drift --dsns=host1,host2", "shardferry drift --shards=1-99 --reference=1 --fix-sql"],

  async run({ ui, load }) {
    const { settings, request: given } = await load();
    const { drift: find } = await import("../../operations/drift.ts");
    const found = await find(settings, given);
    ui.result(found, () => (given.fixSql ? script(found) : render(found, ui.colors)));
    return found.groups.length > 1 ? EXIT.failed : EXIT.done;
  },
});

function render({ groups: [right, ...others], unvalidated }: Drift, colors: Ui["colors"]): string {
  if (!right) return "There are no shards to compare.";
  const note =
    unvalidated.length === 0
      ? []
      : [
          `${plural(unvalidated.length, "shard")} with foreign keys that are NOT VALID, which does not count as drift: ` +
            `${describe({ places: unvalidated })}. shardferry validate validates them.`,
        ];
  if (others.length === 0) return [`${colors.green("✔")} ${shards(right)}: no drift`, ...note].join("\n");
  const head = `${colors.bold("reference")}  ${describe(right)}`;
  return [head, ...others.map((group) => section(group, colors)), ...note].join("\n\n");
}

function section(group: DriftGroup, colors: Ui["colors"]): string {
  return [
    `${colors.bold(shards(group))}  ${describe(group)}`,
    ...group.differences.map((one) => show(one, colors)),
  ].join("\n");
}

/** Like a diff: - marks what only the reference has, + what only the group has. */
function show({ change, object, reference, here }: Difference, colors: Ui["colors"]): string {
  const lines = (text: string | null, sign: string, color: (text: string) => string): string[] =>
    text === null
      ? []
      : statement(text)
          .split("\n")
          .map((line, i) => color(`    ${i === 0 ? sign : " "} ${line}`));
  return [
    `  ${change}: ${object}`,
    ...lines(reference, "-", colors.red),
    ...lines(here, "+", colors.green),
  ].join("\n");
}

const statement = (text: string): string => (isComment(text) ? text : `${text};`);

const shards = ({ places }: DriftGroup): string => plural(places.length, "shard");

/** `sh0001-sh0003, sh0007 on host1; sh0004 on host2`. */
function describe({ places }: Pick<DriftGroup, "places">): string {
  const islands = new Map<string, ComparedShard[]>();
  for (const place of places) islands.set(place.island, [...(islands.get(place.island) ?? []), place]);
  return [...islands].map(([island, list]) => `${ranges(list)} on ${island}`).join("; ");
}

function ranges(list: readonly ComparedShard[]): string {
  const found: [ComparedShard, ComparedShard][] = [];
  for (const shard of list) {
    const last = found.at(-1);
    if (last && last[1].no + 1 === shard.no) last[1] = shard;
    else found.push([shard, shard]);
  }
  return found
    .map(([first, last]) => (first === last ? first.schema : `${first.schema}-${last.schema}`))
    .join(", ");
}

function script({ groups }: Drift): string {
  const fixes = groups
    .flatMap(({ fix = [] }) => fix)
    .sort((a, b) => (a.island < b.island ? -1 : a.island > b.island ? 1 : a.no - b.no));
  const parts: string[] = [];
  let island: string | null = null;
  for (const fix of fixes) {
    if (fix.island !== island)
      parts.push(`-- island ${(island = fix.island)}\nSET check_function_bodies TO off;`);
    parts.push(part(fix));
  }
  return parts.join("\n\n") || "-- no drift";
}

/** One transaction for each shard: what cannot run leaves the shard as it was. */
function part({ schema, statements }: ShardFix): string {
  const before = statements.filter(isOutside);
  const rest = statements.filter((one) => !isOutside(one));
  const runs = rest.some((one) => !isComment(one));
  return [
    `-- ${schema}`,
    ...before.map(statement),
    ...(runs ? ["BEGIN;"] : []),
    ...rest.map(statement),
    ...(runs ? ["COMMIT;"] : []),
  ].join("\n");
}

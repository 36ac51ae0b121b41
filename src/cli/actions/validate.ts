import { ISLANDS } from "../../config/options.ts";
import { VALIDATE } from "../../config/shard-options.ts";
import { EXIT } from "../../errors.ts";
import { plural } from "../../format.ts";
import type { ValidatedKey } from "../../operations/validate.ts";
import { defineAction } from "../action.ts";

export const validate = defineAction({
  options: { ...ISLANDS, ...VALIDATE },
  examples: ["shardferry validate --shard=42 --dsns=host1,host2"],

  async run({ ui, load }) {
    const { settings, request: given } = await load();
    const { validateKeys } = await import("../../operations/validate.ts");
    const keys = await validateKeys(settings, given);
    ui.result({ keys }, () => describe(keys));
    const done = keys.every(({ outcome }) => outcome === "validated" || outcome === "found");
    return done ? EXIT.done : EXIT.failed;
  },
});

function describe(keys: readonly ValidatedKey[]): string {
  if (keys.length === 0) return "All foreign keys of these shards are valid.";
  const lines = keys.map(
    ({ island, schema, table, constraint, outcome, reason }) =>
      `${WORDS[outcome]}: ${constraint} of ${schema}.${table} on ${island}${reason === null ? "" : `: ${reason}`}`,
  );
  const validated = keys.filter(({ outcome }) => outcome === "validated").length;
  const found = keys.filter(({ outcome }) => outcome === "found").length;
  const sum =
    found > 0
      ? `${plural(found, "foreign key")} to be validated`
      : `${validated} of ${plural(keys.length, "foreign key")} validated`;
  return [...lines, sum].join("\n");
}

const WORDS: Record<ValidatedKey["outcome"], string> = {
  validated: "validated",
  found: "NOT VALID",
  violated: "still NOT VALID",
  busy: "still NOT VALID",
  failed: "still NOT VALID",
};

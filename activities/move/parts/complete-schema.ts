import { ident, literal, qualified } from "../../../src/postgres/quote.ts";
import { lateKeysSql } from "../../../src/postgres/schema/late-keys.ts";
import { liftFenceSql } from "./fence.ts";
import type { SwitchFacts } from "./source-facts.ts";
import type { MoveStep } from "./step.ts";

/**
 * Returns the statements that complete the schema: they remove the mark, create the foreign keys that could not be created
 * before, and enable, one by one, the triggers that must not fire for replicated changes. A copy to
 * which a shard returns lets writers through again.
 */
export const completeSchema = ({ schema, input }: MoveStep, facts: SwitchFacts): string[] => [
  ...(input.wayBack ? [liftFenceSql(schema)] : []),
  ...lateKeysSql(schema, facts.lateKeys, input.plan.destination.serverMajor),
  `COMMENT ON SCHEMA ${ident(schema)} IS ${facts.comment === null ? "NULL" : literal(facts.comment)}`,
  ...facts.triggers.map(
    ({ table, trigger, enable }) =>
      `ALTER TABLE ONLY ${qualified(schema, table)} ${enable} TRIGGER ${ident(trigger)}`,
  ),
];

import { ident, literal, qualified } from "../../../src/postgres/quote.ts";
import type { SwitchFacts } from "./source-facts.ts";

/** Removes the mark, and enables, one by one, the triggers that must not fire for replicated changes. */
export const completeSchema = (schema: string, facts: SwitchFacts): string[] => [
  `COMMENT ON SCHEMA ${ident(schema)} IS ${facts.comment === null ? "NULL" : literal(facts.comment)}`,
  ...facts.triggers.map(
    ({ table, trigger, enable }) =>
      `ALTER TABLE ONLY ${qualified(schema, table)} ${enable} TRIGGER ${ident(trigger)}`,
  ),
];

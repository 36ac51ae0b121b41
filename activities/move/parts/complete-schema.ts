import { ident, literal, qualified } from "../../../src/postgres/quote.ts";
import type { SwitchFacts } from "./source-facts.ts";

/** Takes the mark off, and enables the triggers that were not to fire for replicated changes; each by itself. */
export const completeSchema = (schema: string, facts: SwitchFacts): string[] => [
  `COMMENT ON SCHEMA ${ident(schema)} IS ${facts.comment === null ? "NULL" : literal(facts.comment)}`,
  ...facts.triggers.map(
    ({ table, trigger, enable }) =>
      `ALTER TABLE ONLY ${qualified(schema, table)} ${enable} TRIGGER ${ident(trigger)}`,
  ),
];

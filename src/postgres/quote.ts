import { escapeIdentifier, escapeLiteral } from "pg";

/** Quotes an identifier, always, so that `Foo` and `user` keep their meaning. */
export const ident = (name: string): string => escapeIdentifier(name);

/** Quotes a literal, for statements that take no parameters (CREATE SUBSCRIPTION, COMMENT, DO). */
export const literal = (value: string): string => escapeLiteral(value);

/** `"schema"."name"`. */
export const qualified = (schema: string, name: string): string => `${ident(schema)}.${ident(name)}`;

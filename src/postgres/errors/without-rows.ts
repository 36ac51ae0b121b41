import { messageOf } from "../../errors.ts";
import { classOf, isSqlstate, sqlstateOf } from "./sqlstate.ts";

/** What a server says about an error, without anything that is in rows. */
export interface Told {
  message: string;
  detail?: string | undefined;
  hint?: string | undefined;
  where?: string | undefined;
}

/** Data exceptions quote the value, violated constraints have the row or its key in the detail. */
const DATA_EXCEPTION = "22";
const INTEGRITY_VIOLATION = "23";

/** In a message, names of objects follow one of these words; whatever else is quoted in a data exception may be a value. */
const VALUE =
  /(?<!\b(?:type|encoding|relation|column|constraint|function|table|domain|index|enum|schema|parameter|option) )"(?:[^"]|"")*"/g;

/** The lines of a context that have no rows; what follows the place in a line of COPY is the row, or a value. */
const PLACES =
  /^(?:COPY [^\n]+?, line \d+(?:, column [^\n:]+)?|(?:PL\/\w+|SQL) function [^\n]*|[^\n]*replication[^\n]*)(?=:|$)/gm;

/** Messages that contain rows though they are of another class: SQLSTATE 23514, but also 42xxx of routing. */
const ROWS = /failing row|\bKey \(|partition key|parameters:/i;

/**
 * What an error of a server may say where others read it: histories are kept for weeks, and shown on pages. Values of rows
 * are left out: from "Failing row contains …", "Key (…)=(…)", "invalid input syntax …: …" and the lines of a COPY.
 */
export function withoutRows(error: unknown): Told {
  if (!(error instanceof Error)) return { message: String(error) };
  const message = messageOf(error);
  const { detail, hint, where } = error as { detail?: string; hint?: string; where?: string };
  const sqlstate = sqlstateOf(error);
  if (!isSqlstate(sqlstate)) return { message, detail, hint, where };
  const ofData = [DATA_EXCEPTION, INTEGRITY_VIOLATION].includes(classOf(sqlstate));
  return {
    message: classOf(sqlstate) === DATA_EXCEPTION ? message.replace(VALUE, '"…"') : message,
    detail: detail === undefined || ofData || ROWS.test(detail) ? undefined : detail,
    hint,
    where: where?.match(PLACES)?.join("\n"),
  };
}

/** The message of anything that was thrown, without rows. */
export const messageWithoutRows = (error: unknown): string => withoutRows(error).message;

import type pg from "pg";

import { relayCopy } from "../../../src/postgres/copy-relay.ts";
import { ident } from "../../../src/postgres/quote.ts";
import type { Table } from "../../../src/postgres/schema/tables.ts";
import type { Counters } from "./copy-progress.ts";

const bare = (copy: string): string => copy;

/**
 * Wraps a COPY so that both sides mean the same. Names of objects (regclass) are qualified, as in the sessions of a
 * subscription. And nothing is converted: not all bytes of a database that is not UTF8 can be (seen with SQL_ASCII and
 * WIN1252). The setting is local to the COPY, since the driver sends all statements as UTF8.
 */
function faithfully(copy: string, encoding: string): string {
  const own = encoding === "UTF8" ? "" : `; SET LOCAL client_encoding = '${encoding}'`;
  const back = own && "; SET LOCAL client_encoding = 'UTF8'";
  return `SET LOCAL search_path = ''${own}; ${copy}${back}; SET LOCAL search_path TO DEFAULT`;
}

/**
 * Copies the rows of one table. Also used under the write lock.
 *
 * @param encoding that of both databases.
 * @param within puts further statements around each COPY; by default the transactions are already open.
 */
export async function copyRows(
  source: pg.Client,
  destination: pg.Client,
  name: { from: string; to: string },
  table: Table,
  { freeze, encoding = "UTF8" }: { freeze: boolean; encoding: string | undefined },
  counters: Counters,
  within: Record<"from" | "to", (copy: string) => string> = { from: bare, to: bare },
): Promise<void> {
  const columns = table.columns.length > 0 ? ` (${table.columns.map(ident).join(", ")})` : "";
  const format = table.binarySafe ? "binary" : "text";
  // Each row is a message. The header and the trailer of the binary format are messages, too.
  const framing = table.binarySafe ? 2 : 0;
  let messages = 0;
  let seen = 0;
  const rows = await relayCopy(
    source,
    within.from(faithfully(`COPY ${name.from}${columns} TO STDOUT (FORMAT ${format})`, encoding)),
    destination,
    within.to(
      faithfully(
        `COPY ${name.to}${columns} FROM STDIN (FORMAT ${format}${freeze ? ", FREEZE" : ""})`,
        encoding,
      ),
    ),
    (chunk, messagesInIt) => {
      counters.bytes += chunk;
      messages += messagesInIt;
      const now = Math.max(0, messages - framing);
      counters.rows += now - seen;
      seen = now;
    },
  );
  counters.rows += rows - seen;
}

import type pg from "pg";

import { relayCopy } from "../../../src/postgres/copy-relay.ts";
import { ident } from "../../../src/postgres/quote.ts";
import type { Table } from "../../../src/postgres/schema/tables.ts";

export interface Counters {
  bytes: number;
  tuples: number;
}

const bare = (copy: string): string => copy;

/**
 * Copies the rows of one table. Also used under the write lock.
 *
 * @param within puts further statements around each COPY; by default the transactions are already open.
 */
export async function copyRows(
  source: pg.Client,
  destination: pg.Client,
  name: { from: string; to: string },
  table: Table,
  freeze: boolean,
  counters: Counters,
  within: Record<"from" | "to", (copy: string) => string> = { from: bare, to: bare },
): Promise<void> {
  const columns = table.columns.length > 0 ? ` (${table.columns.map(ident).join(", ")})` : "";
  const format = table.binarySafe ? "binary" : "text";
  let seen = 0;
  const rows = await relayCopy(
    source,
    within.from(`COPY ${name.from}${columns} TO STDOUT (FORMAT ${format})`),
    destination,
    within.to(`COPY ${name.to}${columns} FROM STDIN (FORMAT ${format}${freeze ? ", FREEZE" : ""})`),
    (chunk, rowsInIt) => {
      counters.bytes += chunk;
      counters.tuples += rowsInIt;
      seen += rowsInIt;
    },
  );
  // The binary format has a header and a trailer, which look like rows.
  counters.tuples += rows - seen;
}

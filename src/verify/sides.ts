import type { ClientBase } from "pg";

import type { PairedTable } from "./pairs.ts";
import { COMPARE_SETTINGS } from "./settings.ts";
import type { KeyedTable } from "./sql.ts";
import type { ComparedTable } from "./tables.ts";

/** The options of sessions that compare. They are not shared with other work: `findOperators` changes their search_path. */
export const COMPARING = { settings: COMPARE_SETTINGS, reuse: false };

/** A table in a session on its server. */
export interface Side<T extends ComparedTable> {
  client: ClientBase;
  table: T;
}

/** The two sides of a comparison. */
export interface Sides<T extends ComparedTable = ComparedTable> {
  source: Side<T>;
  destination: Side<T>;
  /** Waits until the destination has applied everything that has been committed on the source so far. */
  caughtUp: () => Promise<void>;
}

/** The sides of a table, and the same if it has a key on both; else null. */
export interface SidesOfTable {
  all: Sides;
  keyed: Sides<KeyedTable> | null;
}

/** Puts a pair of tables and two sessions together. */
export function sidesOf(
  { source: here, destination: there }: Pick<PairedTable, "source" | "destination">,
  source: ClientBase,
  destination: ClientBase,
  caughtUp: () => Promise<void>,
): SidesOfTable {
  const all = {
    source: { client: source, table: here },
    destination: { client: destination, table: there },
    caughtUp,
  };
  return { all, keyed: hasKeys(all) ? all : null };
}

const hasKeys = (sides: Sides): sides is Sides<KeyedTable> =>
  sides.source.table.key !== null && sides.destination.table.key !== null;

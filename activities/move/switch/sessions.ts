import type pg from "pg";

import type { ViewVersions } from "../../../contract/move.ts";
import type { BookEntry } from "../../../src/postgres/api/switches.ts";
import { COPY_SETTINGS, VANISHING_HOLDER } from "../../../src/postgres/islands/session-settings.ts";
import type { DefinedSequence } from "../../../src/sequences/hand-over.ts";
import type { SwitchFacts } from "../parts/source-facts.ts";
import type { MoveStep } from "../parts/step.ts";
import type { ChangingRowsComparison } from "./changing-rows.ts";

/** Settings of the session that holds the lock. */
export const LOCKING = {
  ...COPY_SETTINGS,
  ...VANISHING_HOLDER,
  // Plans the fingerprint once, before the lock, instead of at each of its first executions: saves 5 ms under the lock.
  plan_cache_mode: "force_generic_plan",
};

/** Everything that an attempt needs, opened and read before the lock: nothing is resolved or planned under it. */
export interface SwitchSessions {
  step: MoveStep;
  facts: SwitchFacts;
  /** The sequences from which no value had been taken when the sessions were opened. */
  uncalled: DefinedSequence[];
  /** The materialized views as the destination has them; see refreshViews. */
  views: ViewVersions;
  /** Of the source's catalogs, when the structure was last compared; see INVENTORY_SQL. */
  inventory: string;
  /** Holds the lock. Its idle timeout is short, so that writers are freed within seconds when the worker vanishes. */
  source: pg.Client;
  /** Second session on the source: its commit flushes the WAL. */
  sourceObserver: pg.Client;
  /** Third session on the source: sees what blocks the first. */
  sourceWatcher: pg.Client;
  destination: pg.Client;
  /** Second session on the destination: waits for the apply worker before the lock, and sets the sequences under it. */
  destinationObserver: pg.Client;
  sourceApiSchema: string;
  destinationApiSchema: string;
  entry: BookEntry;
  leftover: string;
  /** An attempt stops at the point of no return, and is rolled back. */
  rehearsal: boolean;
  /** Null if all rows were compared before. */
  changing: ChangingRowsComparison | null;
  maxWriteBlockMs: number;
  maxWriteBlockBudgetSec: number;
}

import type pg from "pg";

import type { BookEntry } from "../parts/book.ts";
import type { SwitchFacts } from "../parts/source-facts.ts";
import type { Step } from "../parts/step.ts";

/** Everything an attempt needs, opened and read before the lock: nothing is resolved or planned under it. */
export interface SwitchPlan {
  step: Step;
  facts: SwitchFacts;
  /** Holds the lock. Its idle timeout is short: a vanished worker frees writers within seconds. */
  source: pg.Client;
  /** Second session on the source: flushes WAL, and sees who blocks the first. */
  sourceObserver: pg.Client;
  destination: pg.Client;
  /** Second session on the destination, which watches the apply worker. */
  destinationObserver: pg.Client;
  sourceLib: string;
  destinationLib: string;
  entry: BookEntry;
  leftover: string;
  maxWriteBlockMs: number;
}

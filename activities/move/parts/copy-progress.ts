import type { CopyReport } from "../../../contract/move.ts";
import type { StepProgress } from "../../../contract/progress.ts";
import { bytes } from "../../../src/format.ts";
import type { MoveStep } from "./step.ts";

/** What a copy has done, by either method. */
export type Copied = Omit<CopyReport, "replicasBehind">;

export const copied = (rows: number, size: number): string => `copied ${rows} rows, ${bytes(size)}`;

/** Turns counters into percentage, speed and time left. */
export class Rate {
  readonly #startedAt = Date.now();
  #first: number | undefined;

  /** Numbers for the live view; the total is the size of the source, which is known beforehand. */
  progress(done: { bytes: number; tuples: number }, step: MoveStep): StepProgress {
    const { bytes: bytesTotal, rows: tuplesTotal } = step.input.plan;
    this.#first ??= done.bytes;
    const seconds = Math.max(0.001, (Date.now() - this.#startedAt) / 1000);
    const bytesPerSec = Math.max(0, done.bytes - this.#first) / seconds;
    const left = Math.max(0, bytesTotal - done.bytes);
    return {
      tuples: done.tuples,
      tuplesTotal: Math.max(tuplesTotal, done.tuples),
      bytes: done.bytes,
      bytesTotal: Math.max(bytesTotal, done.bytes),
      percent: bytesTotal === 0 ? 100 : Math.min(100, Math.round((100 * done.bytes) / bytesTotal)),
      bytesPerSec: Math.round(bytesPerSec),
      secondsLeft: bytesPerSec > 0 ? Math.round(left / bytesPerSec) : undefined,
    };
  }
}

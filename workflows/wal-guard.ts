import { CancellationScope, isCancellation, patched } from "@temporalio/workflow";

import type { StepInput } from "../contract/move.ts";
import { watching } from "./proxies.ts";

/**
 * Has an activity watch, alongside the steps of a replication, how much WAL the source keeps for it, even during a pause,
 * when no step runs. Once that is too much, the steps are cancelled as by an abort, so that a switch which has passed its
 * point of no return is finished.
 */
export class WalGuard {
  readonly #steps = new CancellationScope();
  readonly #watch = new CancellationScope();
  #tooMuch: unknown;

  /** Begins to watch; to be called before the slot is created. */
  begin(input: StepInput): void {
    if (!patched("watch WAL")) return;
    this.#watch
      .run(() => watching["watch WAL"](input))
      .catch((error: unknown) => {
        if (isCancellation(error)) return;
        this.#tooMuch = error;
        this.#steps.cancel();
      });
  }

  /** Runs the steps, and throws the reason if they were cancelled for it. */
  async guard<T>(steps: () => Promise<T>): Promise<T> {
    try {
      return await this.#steps.run(steps);
    } catch (error) {
      throw this.#tooMuch ?? error;
    } finally {
      this.#watch.cancel();
    }
  }
}

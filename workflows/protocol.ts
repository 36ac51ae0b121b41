import { ApplicationFailure, CancellationScope, isCancellation, rootCause } from "@temporalio/workflow";

import type { StepReport } from "../contract/progress.ts";
import type { StepName } from "../contract/story.ts";
import { abortedWith } from "./aborted.ts";
import type { Steering } from "./steering.ts";

interface StepOptions<R> {
  /** Undoes what the step has done, or what it may have done before it failed. */
  undo?: () => Promise<StepReport>;
  /** What is reported about the result, if that is not a report itself. */
  describe?: (result: R) => readonly StepReport[];
}

/** The steps of one run of a workflow, each stated once with its undo beside it. */
export class Protocol {
  readonly steering: Steering;
  readonly #undone: string;
  readonly #undo: (() => Promise<StepReport>)[] = [];

  /** `undone` tells what an abort has come to. */
  constructor(steering: Steering, undone = "aborted; the source is as it was, nothing is left behind") {
    this.steering = steering;
    this.#undone = undone;
  }

  /**
   * Enters a step, runs it and reports what it did. Its undo is registered before it begins, since a step may have done
   * its work even if its result is lost.
   */
  async step<R extends StepReport>(
    name: StepName,
    act: () => Promise<R>,
    options?: StepOptions<R>,
  ): Promise<R>;
  async step<R>(
    name: StepName,
    act: () => Promise<R>,
    options: Required<Pick<StepOptions<R>, "describe">>,
  ): Promise<R>;
  async step<R>(name: StepName, act: () => Promise<R>, { undo, describe }: StepOptions<R> = {}): Promise<R> {
    this.steering.enter(name);
    if (undo) this.#undo.push(undo);
    const result = await act();
    for (const report of describe ? describe(result) : [result as StepReport]) this.steering.tell(report);
    return result;
  }

  /**
   * Runs the steps up to the point of no return. If one fails or the run is aborted, undoes what was done, in reverse
   * order, where no cancellation reaches. Undoing is retried until the islands respond.
   */
  async orUndo<T>(forward: () => Promise<T>): Promise<T> {
    try {
      return await forward();
    } catch (error) {
      this.steering.phase("aborting");
      const leftovers = await CancellationScope.nonCancellable(() => this.#undoAll());
      // If an activity fails for a reason of its own after the request, isCancellation does not count that as a cancellation.
      const aborted = this.steering.aborted || isCancellation(error);
      this.steering.phase(aborted ? "aborted" : "failed");
      if (leftovers.length > 0) {
        const reason = `${rootMessage(error)}; in addition, not everything could be undone: ${leftovers.join("; ")}`;
        throw ApplicationFailure.create({ message: reason, type: "undo_failed", nonRetryable: true });
      }
      if (aborted) throw abortedWith(this.#undone);
      throw error;
    }
  }

  /** Runs every undo even if one fails, and returns the reasons of those that failed. */
  async #undoAll(): Promise<string[]> {
    const failures: string[] = [];
    for (const undo of this.#undo.reverse()) {
      try {
        this.steering.tell(await undo());
      } catch (error) {
        failures.push(rootMessage(error));
      }
    }
    return failures;
  }
}

const rootMessage = (error: unknown): string => rootCause(error) ?? String(error);

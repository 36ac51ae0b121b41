import {
  ApplicationFailure,
  CancellationScope,
  CancelledFailure,
  isCancellation,
  rootCause,
} from "@temporalio/workflow";

import type { StepReport } from "../contract/progress.ts";
import type { StepName } from "../contract/story.ts";
import type { Steering } from "./steering.ts";

interface StepOptions<R> {
  /** Takes back what the step has done, or what it may have done before it failed. */
  undo?: () => Promise<StepReport>;
  /** What is told of the result, where that is no report itself. */
  describe?: (result: R) => readonly StepReport[];
}

/** The steps of one run of a workflow, each said once with its undo beside it. */
export class Protocol {
  readonly steering: Steering;
  readonly #undo: (() => Promise<StepReport>)[] = [];

  constructor(steering: Steering) {
    this.steering = steering;
  }

  /**
   * Enters a step, does it and tells what it did. Its undo is registered before it begins, since a step may have done
   * its work although its result is lost.
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
   * Runs the steps up to the point of no return. When one fails or the run is aborted, undoes what was done, in
   * reverse, where no cancellation reaches. Undoing retries until the islands answer.
   */
  async orUndo<T>(forward: () => Promise<T>): Promise<T> {
    try {
      return await forward();
    } catch (error) {
      this.steering.phase("aborting");
      const leftovers = await CancellationScope.nonCancellable(() => this.#undoAll());
      // An activity that fails by itself after the request is not "a cancellation" to isCancellation.
      const aborted = this.steering.aborted || isCancellation(error);
      this.steering.phase(aborted ? "aborted" : "failed");
      if (leftovers.length > 0) {
        const reason = `${rootMessage(error)}; and not everything could be undone: ${leftovers.join("; ")}`;
        throw ApplicationFailure.create({ message: reason, type: "undo_failed", nonRetryable: true });
      }
      if (aborted) throw new CancelledFailure("aborted; the source is as it was, nothing is left behind");
      throw error;
    }
  }

  /** Runs every undo even when one fails, and returns the reasons of those that failed. */
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

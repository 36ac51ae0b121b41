import {
  ApplicationFailure,
  CancellationScope,
  condition,
  getExternalWorkflowHandle,
  isCancellation,
  rootCause,
  setHandler,
  sleep,
  workflowInfo,
} from "@temporalio/workflow";

import type { StepInput } from "../contract/move.ts";
import {
  type Arrived,
  WAY_BACK_STEPS,
  type WayBackEnd,
  type WayBackInput,
  type WayBackResult,
  type WorkflowRun,
} from "../contract/way-back.ts";
import { type Operation, record } from "./history.ts";
import { Protocol } from "./protocol.ts";
import { waiting, watching } from "./proxies.ts";
import {
  arrivedSignal,
  described,
  finishSignal,
  rollbackBeginsSignal,
  rollbackEndsSignal,
  wayBackPreparedSignal,
  wayIsOpenSignal,
} from "./signals.ts";
import { Steering } from "./steering.ts";

/** A rollback that has not ended by then, after the end of the way's time, was terminated. */
const LAST_ROLLBACK = "1 hour";

/**
 * Keeps the way back open after the switch of a move or rollback: what is written at the new place is replicated to the old
 * copy. It is prepared before the switch, opened after it, and closed at the end, whatever that is.
 */
export async function wayBack(input: WayBackInput): Promise<WayBackResult> {
  return new Way(input).run();
}

class Way {
  readonly #input: WayBackInput;
  readonly #step: StepInput;
  readonly #protocol: Protocol;
  /** All steps up to the end. */
  readonly #steps = new CancellationScope();
  #watch = new CancellationScope();
  #arrived: Arrived | undefined;
  #open = false;
  #rollback: WorkflowRun | undefined;
  #mayHaveLeft = false;
  #end: { end: WayBackEnd; reason: string } | undefined;
  #failure: Error | undefined;

  constructor(input: WayBackInput) {
    this.#input = input;
    const { move, plan } = input;
    const { workflowId, runId } = workflowInfo();
    this.#step = {
      kind: "move",
      request: move,
      plan,
      fingerprint: "",
      wayBack: { workflowId, runId },
    };
    this.#protocol = new Protocol(new Steering(input, WAY_BACK_STEPS));
    setHandler(arrivedSignal, (arrived) => void (this.#arrived = arrived), described("arrived"));
    setHandler(finishSignal, () => this.#finish("finished", "it was told to (finish)"), described("finish"));
    setHandler(rollbackBeginsSignal, (run) => this.#begins(run), described("rollbackBegins"));
    setHandler(rollbackEndsSignal, (back) => this.#ends(back), described("rollbackEnds"));
  }

  async run(): Promise<WayBackResult> {
    try {
      await this.#steps.run(() => this.#forward());
    } catch (error) {
      // The end cancels the steps.
      if (!this.#end) {
        this.#failure = error as Error;
        const aborted = isCancellation(error) || this.#protocol.steering.aborted;
        this.#end = aborted
          ? { end: "finished", reason: "it was aborted" }
          : { end: "broken", reason: rootCause(error) ?? String(error) };
      }
    }
    return CancellationScope.nonCancellable(() => this.#close(this.#end!));
  }

  async #forward(): Promise<void> {
    const { opener } = this.#input;
    const { steering } = this.#protocol;
    await this.#protocol.step("prepare way back", () => waiting["prepare way back"](this.#step));
    await getExternalWorkflowHandle(opener.workflowId, opener.runId).signal(wayBackPreparedSignal);
    this.#startWatch();
    steering.enter("wait for switch");
    steering.phase("running", `the switch of ${opener.workflowId}`);
    await condition(() => this.#arrived !== undefined);
    const { leftover, expiresAt } = this.#arrived!;
    const expiry = this.#expire(expiresAt);
    const opening = { ...this.#step, opener, leftover };
    const opened = await this.#protocol.step("open way back", () => waiting["open way back"](opening));
    this.#step.fingerprint = opened.fingerprint;
    this.#open = true;
    this.#startWatch();
    await this.#tellRollback();
    steering.enter("keep way back");
    const until = new Date(expiresAt).toISOString();
    steering.phase("running", `a rollback, a finish, or the end of its time at ${until}`);
    await expiry;
  }

  /** Ends the way at the end of its time, after a rollback that has begun. */
  async #expire(expiresAt: number): Promise<void> {
    await sleep(Math.max(1, expiresAt - Date.now()));
    if (this.#rollback) await condition(() => !this.#rollback, LAST_ROLLBACK);
    this.#end ??= { end: "expired", reason: `its time ended at ${new Date(expiresAt).toISOString()}` };
    this.#steps.cancel();
  }

  /** Watches from beside the steps; what it finds ends the way. */
  #startWatch(): void {
    this.#watch.cancel();
    this.#watch = new CancellationScope();
    const maxWalBytes = this.#input.move.reversibleMaxWalBytes;
    this.#watch
      .run(() => watching["watch way back"]({ ...this.#step, maxWalBytes, open: this.#open }))
      .then(({ end, reason }) => {
        // The budget holds whatever happens; the rest may be what a rollback does.
        if (end === "wal limit") this.#rollback = undefined;
        this.#finish(end, reason);
      })
      .catch((error: unknown) => {
        if (!isCancellation(error)) this.#finish("broken", rootCause(error) ?? String(error));
      });
  }

  #finish(end: WayBackEnd, reason: string): void {
    this.#end ??= { end, reason };
    if (!this.#rollback) this.#steps.cancel();
  }

  #begins(run: WorkflowRun): void {
    this.#rollback = run;
    this.#mayHaveLeft = true;
    void this.#tellRollback();
  }

  #ends(back: boolean): void {
    this.#rollback = undefined;
    if (back) this.#end = { end: "rolled back", reason: "the shard has gone back" };
    if (this.#end) this.#steps.cancel();
  }

  get #operation(): Operation {
    const { schema, from, to, move } = this.#input;
    const islands = [from, to];
    return {
      kind: "way back",
      name: schema,
      schemas: [schema],
      islands,
      from,
      to,
      startedBy: move.startedBy,
    };
  }

  async #tellRollback(): Promise<void> {
    if (!this.#rollback || !this.#open) return;
    const { workflowId, runId } = this.#rollback;
    const { turn } = this.#input;
    const open = { input: this.#step, expiresAt: this.#arrived!.expiresAt, turn };
    // It may have been terminated.
    await getExternalWorkflowHandle(workflowId, runId)
      .signal(wayIsOpenSignal, open)
      .catch(() => (this.#rollback = undefined));
  }

  async #close({ end, reason }: { end: WayBackEnd; reason: string }): Promise<WayBackResult> {
    const { steering } = this.#protocol;
    this.#watch.cancel();
    const leftover = this.#arrived?.leftover ?? null;
    const { deactivateSql } = this.#input.move;
    steering.tell({ text: `the way back ends: ${reason}` });
    const { rolledBack } = await this.#protocol.step("close way back", () =>
      waiting["close way back"]({
        ...this.#step,
        leftover,
        deactivateSql,
        mayHaveLeft: this.#mayHaveLeft,
      }),
    );
    // A move is waiting for it, and undoes what it has done.
    if (!this.#arrived && this.#failure !== undefined) throw this.#failure;
    const { schema, from, to } = this.#input;
    const { workflowId, runId } = workflowInfo();
    const result: WayBackResult = {
      workflowId,
      runId,
      schema,
      from,
      to,
      end: rolledBack ? "rolled back" : end,
      reason,
      leftover: rolledBack ? null : leftover,
      walKeptBytes: steering.walKeptBytes,
    };
    if (this.#arrived) await record(steering, this.#operation, { outcome: result.end, reason: why(result) });
    steering.phase(result.end === "broken" ? "failed" : "done");
    if (result.end !== "broken") return result;
    throw ApplicationFailure.create({
      message: `there is no way back any more for "${schema}", which stays on ${from}: ${reason}`,
      type: "way_back_broken",
      nonRetryable: true,
      details: [result],
    });
  }
}

const why = ({ end, reason }: WayBackResult): { code: string; text: string } => ({
  code: end.replace(" ", "_"),
  text: reason,
});

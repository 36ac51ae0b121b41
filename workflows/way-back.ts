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
  type FinishRequest,
  WAY_BACK_STEPS,
  type WayBackEnd,
  type WayBackInput,
  type WayBackResult,
  type WorkflowRun,
} from "../contract/way-back.ts";
import { closeBoth, reasonOf } from "./close-way-back.ts";
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
  wayHasEndedSignal,
  wayIsOpenSignal,
} from "./signals.ts";
import { Steering } from "./steering.ts";

/** A rollback that has not ended this long after the end of its way back must have been terminated. */
const LAST_ROLLBACK = "1 hour";

/** How often to check that the workflow that is being waited for still exists. */
const LOOK_FOR_OTHER = "10 minutes";

const WATCH_AGAIN = "10 seconds";

/**
 * Keeps the way back open after the switch of a move or rollback: what is written at the new place is replicated to the old
 * copy. It is prepared before the switch, opened after it, and closed however it ends.
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
  /** The rollback by which the shard has left. */
  #leftBy: WorkflowRun | undefined;
  #mayHaveLeft = false;
  /** True once it has been told not to wait for islands that are away. */
  #force = false;
  #end: { end: WayBackEnd; reason: string } | undefined;
  #failure: Error | undefined;
  /** What the watch has found during a rollback, which may have done that. */
  #suspected: { end: WayBackEnd; reason: string } | undefined;

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
    setHandler(finishSignal, (request) => this.#obey(request ?? {}), described("finish"));
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
    return CancellationScope.nonCancellable(async () => {
      await this.#endRollback();
      return this.#close(this.#end!);
    });
  }

  async #forward(): Promise<void> {
    const { steering } = this.#protocol;
    await this.#protocol.step("prepare way back", () => waiting["prepare way back"](this.#step));
    this.#startWatch();
    steering.enter("wait for switch");
    const { leftover, expiresAt, fingerprint } = await this.#untilArrived();
    this.#step.fingerprint = fingerprint;
    steering.expires(expiresAt);
    const expiry = this.#expire(expiresAt);
    // The end may come while the next step still runs.
    expiry.catch(() => undefined);
    const opening = { ...this.#step, opener: this.#input.opener, leftover, expiresAt };
    await this.#protocol.step("open way back", () => waiting["open way back"](opening));
    this.#open = true;
    this.#startWatch();
    await this.#tellRollback();
    steering.enter("keep way back");
    const until = new Date(expiresAt).toISOString();
    steering.phase("running", `a rollback, a finish, or the end of its time at ${until}`);
    await expiry;
  }

  /** Tells the opener that the switch may come, and waits for it; throws if the opener has ended without a word. */
  async #untilArrived(): Promise<Arrived> {
    const { workflowId, runId } = this.#input.opener;
    const opener = getExternalWorkflowHandle(workflowId, runId);
    this.#protocol.steering.phase("running", `the switch of ${workflowId}`);
    do await opener.signal(wayBackPreparedSignal);
    while (!(await condition(() => this.#arrived !== undefined, LOOK_FOR_OTHER)));
    return this.#arrived!;
  }

  /** Ends the way at the end of its time, after a rollback that has begun. */
  async #expire(expiresAt: number): Promise<void> {
    await sleep(Math.max(1, expiresAt - Date.now()));
    if (this.#rollback) await condition(() => !this.#rollback, LAST_ROLLBACK);
    this.#finish("expired", `its time ended at ${new Date(expiresAt).toISOString()}`);
  }

  /** Watches alongside the steps; whatever the watch finds ends the way. */
  #startWatch(): void {
    this.#watch.cancel();
    this.#watch = new CancellationScope();
    this.#watch
      .run(() => this.#watchOn())
      .catch((error: unknown) => {
        if (!isCancellation(error)) this.#finish("broken", rootCause(error) ?? String(error));
      });
  }

  async #watchOn(): Promise<void> {
    const maxWalBytes = this.#input.move.reversibleMaxWalBytes;
    let open = this.#open;
    for (;;) {
      const { end, reason } = await watching["watch way back"]({ ...this.#step, maxWalBytes, open });
      if (!this.#rollback || end === "wal limit") return this.#finish(end, reason);
      // It may be what the rollback has done. From here on, only the shard's side and its budget of WAL are watched.
      this.#suspected = { end, reason };
      open = false;
      await sleep(WATCH_AGAIN);
    }
  }

  #obey({ force = false }: FinishRequest): void {
    this.#force ||= force;
    this.#finish("finished", "it was told to (finish)");
  }

  #finish(end: WayBackEnd, reason: string): void {
    this.#end ??= { end, reason };
    this.#steps.cancel();
  }

  #begins(run: WorkflowRun): void {
    if (this.#end) return this.#refuse(run);
    this.#rollback = run;
    this.#mayHaveLeft = true;
    void this.#tellRollback();
  }

  /** If the rollback itself has ended, there is nobody to refuse. */
  #refuse(run: WorkflowRun): void {
    this.#tellEnd(run).catch(() => (this.#rollback = undefined));
  }

  #tellEnd({ workflowId, runId }: WorkflowRun): Promise<void> {
    return getExternalWorkflowHandle(workflowId, runId).signal(wayHasEndedSignal, this.#end!.reason);
  }

  #ends(back: boolean): void {
    if (back) this.#leftBy = this.#rollback;
    this.#rollback = undefined;
    if (back) this.#end = { end: "rolled back", reason: "the shard has gone back" };
    else this.#end ??= this.#suspected;
    this.#suspected = undefined;
    if (this.#end) this.#steps.cancel();
  }

  /** A rollback obeys until its point of no return, and always reports how it has ended; nothing is closed before that. */
  async #endRollback(): Promise<void> {
    if (!this.#rollback) return;
    this.#refuse(this.#rollback);
    await condition(() => !this.#rollback, LAST_ROLLBACK);
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
    const closing = { ...this.#step, leftover, deactivateSql, mayHaveLeft: this.#mayHaveLeft };
    const { rolledBack, abandoned } = await this.#protocol.step("close way back", () => {
      const wayOut = `shardferry finish --shard=${this.#input.move.shard} --force`;
      steering.phase("running", `both servers; one that is gone for good is given up by \`${wayOut}\``);
      return closeBoth(closing, () => this.#force);
    });
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
      abandoned,
    };
    if (this.#arrived)
      await record(steering, this.#operation, { outcome: result.end, reason: reasonOf(result) });
    // It may have stopped waiting.
    if (this.#leftBy) await this.#tellEnd(this.#leftBy).catch(() => undefined);
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

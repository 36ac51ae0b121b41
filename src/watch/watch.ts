import { setTimeout as sleep } from "node:timers/promises";

import type { WorkflowHandle } from "@temporalio/client";

import { ABORTED_MEMO } from "../../contract/names.ts";
import type { Temporal } from "../temporal/connection.ts";
import { isPassing, type Outcome, outcomeOfError } from "./outcome.ts";
import { type Snapshot, takeSnapshot } from "./snapshot.ts";

/** How often a snapshot of a running workflow is taken. Its end is noticed at once. */
const LOOK_EVERY_MS = 1000;
const REVIVE_EVERY_MS = 500;

/** The signals that steer a workflow, by the names in the contract. */
export type SteeringSignal = "confirm" | "skipLag" | "abort" | "pause";

/** A signal that was sent, and when. */
export interface SentSignal {
  name: SteeringSignal;
  at: number;
}

/** A workflow that this process has started or attached to. */
export class Watch<T> {
  readonly workflowId: string;
  readonly runId: string;
  /** True if it was already running. */
  readonly attached: boolean;
  /** When it ended, if that was before this watch began. */
  readonly endedAt: Date | null;
  readonly #temporal: Temporal;
  readonly #handle: WorkflowHandle;
  readonly #read: (raw: unknown, runId: string) => T;
  readonly #outcome: Promise<Outcome<T>>;
  #ended = false;

  /** @internal `read` turns the workflow's own result into that of the operation. */
  constructor(
    temporal: Temporal,
    handle: WorkflowHandle,
    runId: string,
    attached: boolean,
    read: (raw: unknown, runId: string) => T,
    endedAt: Date | null = null,
  ) {
    this.#temporal = temporal;
    this.#read = read;
    this.#handle = handle;
    this.workflowId = handle.workflowId;
    this.runId = runId;
    this.attached = attached;
    this.endedAt = endedAt;
    this.#outcome = this.#await();
    // The caller of `outcome` gets the error; until then, it must not end the process.
    this.#outcome.catch(() => undefined).finally(() => (this.#ended = true));
  }

  /** True once the outcome is known. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Resolves to how the workflow ends. */
  outcome(): Promise<Outcome<T>> {
    return this.#outcome;
  }

  /** Waits for the end, even while Temporal is unreachable. */
  async #await(): Promise<Outcome<T>> {
    for (;;) {
      try {
        return { kind: "done", result: this.#read(await this.#handle.result(), this.runId) };
      } catch (error) {
        if (!isPassing(error)) return await this.#inWords(outcomeOfError(error));
        await this.#temporal.revive().catch(() => undefined);
        await sleep(REVIVE_EVERY_MS);
      }
    }
  }

  /** A workflow that was cancelled has left an explanation in its memo. */
  async #inWords(outcome: Outcome<T>): Promise<Outcome<T>> {
    if (outcome.kind !== "aborted") return outcome;
    const memo = await this.#handle.describe().then(
      (description) => description.memo,
      () => undefined,
    );
    const words = memo?.[ABORTED_MEMO];
    return typeof words === "string" ? { kind: "aborted", message: words } : outcome;
  }

  /** Takes a snapshot every second until the workflow has ended, and one more then; `stop` ends this early. */
  async *snapshots(stop?: AbortSignal): AsyncGenerator<Snapshot> {
    const ended = new AbortController();
    void this.#outcome.then(
      () => ended.abort(),
      () => ended.abort(),
    );
    const wake = AbortSignal.any(stop ? [ended.signal, stop] : [ended.signal]);
    let before: Snapshot | null = null;
    for (;;) {
      const last = ended.signal.aborted;
      if (stop?.aborted) return;
      const snapshot: Snapshot | null = await takeSnapshot(this.#temporal, this.#handle, before).catch(
        () => null,
      );
      before = snapshot ?? before;
      if (snapshot) yield snapshot;
      else await this.#temporal.revive().catch(() => undefined);
      if (last) return;
      await sleep(LOOK_EVERY_MS, undefined, { signal: wake }).catch(() => undefined);
    }
  }

  /** Sends a signal. An abort is Temporal's own request to cancel, so that the workflow ends as cancelled, not as failed. */
  async signal(name: SteeringSignal): Promise<void> {
    if (name === "abort") await this.#handle.cancel();
    else await this.#handle.signal(name);
  }
}

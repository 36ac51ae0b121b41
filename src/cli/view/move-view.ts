import type { Progress } from "../../../contract/story.ts";
import type { ObservedLag } from "../../watch/lag.ts";
import type { Snapshot } from "../../watch/snapshot.ts";
import { type Line, Story } from "../../watch/story.ts";
import type { SteeringSignal } from "../../watch/watch.ts";
import { goOnOf } from "./frame-parts.ts";
import { render } from "./render.ts";
import type { Frame, View } from "./view.ts";

/** Reads the replication lag of the replicas repeatedly, until it is stopped. */
type WatchLag = (progress: Progress, stop: AbortSignal) => AsyncIterable<readonly ObservedLag[]>;

/** The view of a move or copy. */
export class MoveView implements View {
  readonly #story: Story;
  readonly #watchLag: WatchLag | null;
  readonly #closed = new AbortController();
  #snapshot: Snapshot | null = null;
  #lags: readonly ObservedLag[] | null = null;

  /** `watchLag` asks the islands themselves: between two steps, and during a pause, no activity reports the lag. */
  constructor(ownWorker: () => boolean, watchLag: WatchLag | null) {
    this.#story = new Story(ownWorker);
    this.#watchLag = watchLag;
  }

  take(snapshot: Snapshot): Line[] {
    this.#snapshot = snapshot;
    if (this.#lags === null && snapshot.progress?.schema) void this.#followLag(snapshot.progress);
    return this.#story.tell(snapshot);
  }

  get idle(): boolean {
    return Boolean(this.#snapshot?.idleQueue);
  }

  get answered(): boolean {
    return Boolean(this.#snapshot?.progress);
  }

  draw(frame: Frame): string[] {
    const snapshot = this.#snapshot;
    if (!snapshot) return [];
    return render({ ...frame, snapshot, lags: this.#lags ?? [], idleQueue: this.#story.idleQueue(snapshot) });
  }

  goOn(): SteeringSignal | null {
    return this.#snapshot && goOnOf(this.#snapshot);
  }

  pause(): null {
    return null;
  }

  close(): void {
    this.#closed.abort();
  }

  async #followLag(progress: Progress): Promise<void> {
    this.#lags = [];
    if (!this.#watchLag) return;
    for await (const lags of this.#watchLag(progress, this.#closed.signal)) this.#lags = lags;
  }
}

import type { SteeringSignal } from "../../operations/watch.ts";
import type { Snapshot } from "../../temporal/snapshot.ts";
import { render } from "./render.ts";
import { type Line, Story } from "./story.ts";
import type { Frame, View } from "./view.ts";

/** The view of a move or copy. */
export class MoveView implements View {
  readonly #story: Story;
  #snapshot: Snapshot | null = null;

  constructor(ownWorker: () => boolean) {
    this.#story = new Story(ownWorker);
  }

  take(snapshot: Snapshot): Line[] {
    this.#snapshot = snapshot;
    return this.#story.tell(snapshot);
  }

  get idle(): boolean {
    return Boolean(this.#snapshot?.idleQueue);
  }

  draw({ colors, ...frame }: Frame): string[] {
    const snapshot = this.#snapshot;
    if (!snapshot) return [];
    return render({ ...frame, snapshot, idleQueue: this.#story.idleQueue(snapshot) }, colors);
  }

  goOn(): SteeringSignal | null {
    const progress = this.#snapshot?.progress;
    if (progress?.phase === "paused") return "confirm";
    return progress?.step === "wait for lag" ? "skipLag" : null;
  }

  close(): void {
    // It keeps nothing open.
  }
}

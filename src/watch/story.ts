import type { StepProgress } from "../../contract/progress.ts";
import type { ProgressEvent } from "../../contract/story.ts";
import { bytes, count, duration } from "../format.ts";
import type { Snapshot } from "./snapshot.ts";

/** One line that is new since the last look. */
export interface Line {
  readonly at: Date;
  readonly text: string;
  readonly sql: readonly string[];
}

/** A worker of this very command takes a moment to start, on a busy machine several seconds. */
const OWN_WORKER_MS = 15_000;
/** Time to see for ourselves that nobody takes the tasks, which may have waited long before we came. */
const FOREIGN_WORKER_MS = 2500;

/** How often a long step tells its numbers, or a failing one that it still fails, where no live view does. */
const REPEAT_EVERY_MS = 15_000;

/** Turns looks at a workflow into a story: each event, wait and failed attempt is told once. */
export class Story {
  readonly #told = new Set<string>();
  #toldUntil = 0;
  #waiting = "";
  #failure = "";
  #failureAt = 0;
  #failedAttempt = 0;
  #idle = "";
  #numbersAt = Date.now();
  readonly #since = Date.now();
  readonly #ownWorker: () => boolean;

  constructor(ownWorker: () => boolean) {
    this.#ownWorker = ownWorker;
  }

  /** The queue whose tasks nobody takes, once that is certain. */
  idleQueue({ idleQueue }: Snapshot): string | null {
    const patience = this.#ownWorker() ? OWN_WORKER_MS : FOREIGN_WORKER_MS;
    return Date.now() - this.#since < patience ? null : idleQueue;
  }

  /** What is new in this look, in order. */
  tell(snapshot: Snapshot): Line[] {
    return [...this.tellEvents(snapshot), ...this.tellTroubles(snapshot)];
  }

  /** The steps that have ended since the last look. */
  tellEvents(snapshot: Snapshot): Line[] {
    const events = (snapshot.progress?.events ?? []).filter((event) => this.#isNew(event));
    return events.map(({ at, step, text, sql }): Line => ({
      at: new Date(at),
      text: `${step}: ${text}`,
      sql: sql ?? [],
    }));
  }

  /** What is waited for or fails since this look, and now and then the numbers of a long step. */
  tellTroubles(snapshot: Snapshot): Line[] {
    const now = [
      this.#newWait(snapshot),
      this.#newFailure(snapshot),
      this.#newIdle(snapshot),
      this.#numbers(snapshot),
    ];
    return now.filter((text) => text !== null).map((text) => ({ at: new Date(), text, sql: [] }));
  }

  /** The workflow keeps its last 300 events only, so their places in the list do not tell which are new. */
  #isNew({ at, step, text }: ProgressEvent): boolean {
    const key = `${at} ${step} ${text}`;
    if (at < this.#toldUntil || this.#told.has(key)) return false;
    if (at > this.#toldUntil) this.#told.clear();
    this.#toldUntil = at;
    this.#told.add(key);
    return true;
  }

  #newWait(snapshot: Snapshot): string | null {
    const waiting = waitOf(snapshot) ?? "";
    // The numbers in a reason change all the time; only another reason is news.
    const reason = waiting.replace(/[\d.]+/g, "#");
    if (reason === this.#waiting) return null;
    this.#waiting = reason;
    return waiting ? `waiting for ${waiting}` : null;
  }

  #newFailure({ activities }: Snapshot): string | null {
    const failed = activities.find(({ failure }) => failure !== null);
    if (failed?.failure == null) return null;
    const { step, attempt, failure } = failed;
    // An attempt that goes on for hours is not one that fails.
    const again = attempt > this.#failedAttempt && Date.now() - this.#failureAt >= REPEAT_EVERY_MS;
    if (failure === this.#failure && !again) return null;
    this.#failure = failure;
    this.#failedAttempt = attempt;
    this.#failureAt = Date.now();
    return `${step}: attempt ${attempt - 1} failed, trying again: ${failure}`;
  }

  #newIdle(snapshot: Snapshot): string | null {
    const idleQueue = this.idleQueue(snapshot);
    const news = idleQueue !== null && idleQueue !== this.#idle;
    this.#idle = idleQueue ?? "";
    return news ? idleText(idleQueue) : null;
  }

  #numbers(snapshot: Snapshot): string | null {
    const running = snapshot.activities[0];
    const numbers = running?.details ? numbersOf(running.details) : "";
    if (numbers === "" || Date.now() - this.#numbersAt < REPEAT_EVERY_MS) return null;
    this.#numbersAt = Date.now();
    return `${running!.step}: ${numbers}`;
  }
}

/** What to do when no worker takes the tasks of a queue. */
export const idleText = (queue: string): string =>
  `no worker takes tasks from the queue "${queue}": start \`shardferry worker\` with the same TEMPORAL_ADDRESS and ` +
  "with DSNs of both islands; still waiting";

/** What a workflow or its running step waits for. */
export const waitOf = ({ progress, activities }: Snapshot): string | null =>
  activities.map(({ details }) => details?.waitingFor).find(Boolean) ?? progress?.waitingFor ?? null;

/** The numbers of a running step in one line. */
export function numbersOf(details: StepProgress): string {
  const { note, percent, tuples, tuplesTotal, bytes: done, bytesTotal, bytesPerSec, secondsLeft } = details;
  const of = (part: string | undefined, whole: string | undefined): string =>
    whole ? `${part} of ${whole}` : part!;
  return [
    note,
    percent === undefined ? "" : `${Math.floor(percent)}%`,
    done === undefined ? "" : of(bytes(done), bytesTotal === undefined ? undefined : bytes(bytesTotal)),
    tuples === undefined
      ? ""
      : `${of(count(tuples), tuplesTotal === undefined ? undefined : count(tuplesTotal))} tuples`,
    bytesPerSec === undefined ? "" : `${bytes(bytesPerSec)}/s`,
    secondsLeft === undefined ? "" : `${duration(1000 * secondsLeft)} left`,
  ]
    .filter(Boolean)
    .join(", ");
}

import type { StepProgress } from "../../contract/progress.ts";
import type { ProgressEvent } from "../../contract/story.ts";
import { blockedFor, bytes, count, duration, walKept } from "../format.ts";
import type { Snapshot } from "./snapshot.ts";

/** One new line since the last snapshot. */
export interface Line {
  readonly at: Date;
  readonly text: string;
  readonly sql: readonly string[];
}

/** The worker of this command takes a moment to start; on a busy machine, several seconds. */
const OWN_WORKER_MS = 15_000;
/** Time to make sure that no worker takes the tasks, which may have waited long before this command started. */
const FOREIGN_WORKER_MS = 2500;

/** How often the numbers of a long step, or the failure of a failing one, are repeated without a live view. */
const REPEAT_EVERY_MS = 15_000;

/** How often a wait that lasts is repeated. */
const REPEAT_WAIT_MS = 10 * 60_000;

/** Bytes of WAL that are worth a line of their own, and by how much more it has to be for the next one. */
const NOTEWORTHY_WAL = 64 << 20;
const WAL_GROWTH = 1.5;

/** Turns snapshots of a workflow into a story: each event, wait and failed attempt appears once. */
export class Story {
  readonly #told = new Set<string>();
  readonly #ended = new Set<string>();
  #toldUntil = 0;
  /** When each wait was last reported. */
  readonly #waits = new Map<string, number>();
  #failure = "";
  #failureAt = 0;
  #failedAttempt = 0;
  #idle = "";
  #numbersAt = Date.now();
  #numbersTold = "";
  #toldWal = 0;
  readonly #since = Date.now();
  readonly #ownWorker: () => boolean;

  constructor(ownWorker: () => boolean) {
    this.#ownWorker = ownWorker;
  }

  /** Returns the task queue that no worker polls, once that is certain. */
  idleQueue({ idleQueue }: Snapshot): string | null {
    const patience = this.#ownWorker() ? OWN_WORKER_MS : FOREIGN_WORKER_MS;
    return Date.now() - this.#since < patience ? null : idleQueue;
  }

  /** Returns the new lines of this snapshot, in order. */
  tell(snapshot: Snapshot): Line[] {
    return [...this.tellEvents(snapshot), ...this.tellTroubles(snapshot)];
  }

  /** Returns a line for each step that has ended since the last snapshot. */
  tellEvents(snapshot: Snapshot): Line[] {
    const events = (snapshot.progress?.events ?? []).filter((event) => this.#isNew(event));
    return events.map(({ at, step, text, sql }): Line => ({
      at: new Date(at),
      text: `${step}: ${text}`,
      sql: sql ?? [],
    }));
  }

  /** Returns a line for each new wait and failure, and from time to time the numbers of a long step. */
  tellTroubles(snapshot: Snapshot): Line[] {
    const now = [
      ...this.#newEndings(snapshot),
      this.#newWait(snapshot),
      this.#newFailure(snapshot),
      this.#newIdle(snapshot),
      this.#moreWal(snapshot),
      this.#numbers(snapshot),
    ];
    return now.filter((text) => text !== null).map((text) => ({ at: new Date(), text, sql: [] }));
  }

  /** The workflow keeps only its last 300 events, so their positions in the list do not show which are new. */
  #isNew({ at, step, text }: ProgressEvent): boolean {
    const key = `${at} ${step} ${text}`;
    if (at < this.#toldUntil || this.#told.has(key)) return false;
    if (at > this.#toldUntil) this.#told.clear();
    this.#toldUntil = at;
    this.#told.add(key);
    return true;
  }

  /** A wait is reported once, then rarely, even if it comes and goes between two snapshots. */
  #newWait(snapshot: Snapshot): string | null {
    const waiting = waitOf(snapshot);
    if (waiting === null) return null;
    // The numbers in a reason change all the time; only a different reason, or another session, is news.
    const reason = waiting.replace(/\bpid \d+|[\d.]+/g, (text) => (text.startsWith("pid") ? text : "#"));
    for (const [told, at] of this.#waits) if (Date.now() - at >= REPEAT_WAIT_MS) this.#waits.delete(told);
    if (this.#waits.has(reason)) return null;
    this.#waits.set(reason, Date.now());
    return withWal(`waiting for ${waiting}`, snapshot);
  }

  /** Sessions that were ended because they blocked. */
  #newEndings({ activities }: Snapshot): string[] {
    const ended = activities.flatMap(({ details }) => details?.blocked?.endedBlockers ?? []);
    const news = ended.filter((text) => !this.#ended.has(text));
    for (const text of news) this.#ended.add(text);
    return news;
  }

  #newFailure({ activities }: Snapshot): string | null {
    const failed = activities.find(({ failure }) => failure !== null);
    if (failed?.failure == null) return null;
    const { step, attempt, failure } = failed;
    // An attempt that runs for hours is not a failing one.
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
    return news ? idleText(idleQueue, snapshot) : null;
  }

  /** WAL is reported again when there is much more of it: a pause may take days. */
  #moreWal({ walKeptBytes }: Snapshot): string | null {
    if (walKeptBytes === null || walKeptBytes < Math.max(NOTEWORTHY_WAL, WAL_GROWTH * this.#toldWal))
      return null;
    this.#toldWal = walKeptBytes;
    return walKept(walKeptBytes);
  }

  #numbers(snapshot: Snapshot): string | null {
    const running = snapshot.activities[0];
    const numbers = running?.details ? withWal(numbersOf(running.details), snapshot) : "";
    const since = Date.now() - this.#numbersAt;
    // A step that waits says so itself; its numbers are no news while they stay the same.
    if (numbers === "" || since < (numbers === this.#numbersTold ? REPEAT_WAIT_MS : REPEAT_EVERY_MS))
      return null;
    this.#numbersAt = Date.now();
    this.#numbersTold = numbers;
    return `${running!.step}: ${numbers}`;
  }
}

/** Says what to do if no worker polls a task queue. */
export const idleText = (
  queue: string,
  { embedded, workflowId }: Pick<Snapshot, "embedded" | "workflowId">,
): string =>
  embedded
    ? `no worker is running for ${workflowId}: run \`shardferry attach ${workflowId}\` with the DSNs of both islands; still waiting`
    : `no worker polls the task queue "${queue}": start \`shardferry worker\` with the same TEMPORAL_ADDRESS and ` +
      "the DSNs of both islands; still waiting";

/** Returns what a workflow or its running step waits for. */
export const waitOf = ({ progress, activities }: Snapshot): string | null =>
  activities.map(({ details }) => details?.waitingFor).find(Boolean) ?? progress?.waitingFor ?? null;

/** Adds the WAL that the source keeps, if it is known. */
export const withWal = (line: string, { walKeptBytes }: Pick<Snapshot, "walKeptBytes">): string =>
  [line, walKeptBytes === null ? "" : walKept(walKeptBytes)].filter(Boolean).join(", ");

/** Formats the numbers of a running step as one line. */
export function numbersOf(details: StepProgress): string {
  const { note, blocked, percent, reached, tuples, tuplesTotal, bytes: size, bytesPerSec } = details;
  const { secondsLeft } = details;
  return [
    note,
    blocked && blocked.attempts > 1 ? `writers were blocked for ${blockedFor(blocked)}` : "",
    // Of a step that is a part of a larger whole, only the percentage of the whole is shown.
    percent === undefined || reached ? "" : `${Math.floor(percent)}%`,
    tuples === undefined
      ? ""
      : `${count(tuples)}${tuplesTotal ? ` of about ${count(tuplesTotal)}` : ""} rows`,
    size === undefined ? "" : `${bytes(size)} copied`,
    bytesPerSec === undefined ? "" : `${bytes(bytesPerSec)}/s`,
    secondsLeft === undefined ? "" : `${duration(1000 * secondsLeft)} left`,
  ]
    .filter(Boolean)
    .join(", ");
}

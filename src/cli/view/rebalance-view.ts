import type { RebalanceProgress } from "../../../contract/rebalance.ts";
import type { Temporal } from "../../temporal/connection.ts";
import { lookAt, movesOf, rebalanceProgress } from "../../watch/rebalance-progress.ts";
import type { Snapshot } from "../../watch/snapshot.ts";
import { type Line, Story } from "../../watch/story.ts";
import type { SteeringSignal } from "../../watch/watch.ts";
import { goOnOf } from "./frame-parts.ts";
import { LogFile } from "./log-file.ts";
import { mayPause, renderRebalance } from "./render-rebalance.ts";
import type { Frame, View } from "./view.ts";

/**
 * Milliseconds between two snapshots of the individual moves. Each snapshot queries every move, which takes time of
 * Temporal and of the worker that the moves themselves could use. Without a terminal, only waits and failures are shown.
 */
const LOOK_EVERY_MS = { interactive: 1000, otherwise: 3000 };

/** The story and the log of one running move. */
interface Told {
  story: Story;
  log: LogFile;
}

/**
 * The view of a rebalance: all moves at once. Its story has the start and the end of each move, its waits and its
 * failures; the steps of a move go to the log file of that move.
 */
export class RebalanceView implements View {
  readonly #temporal: Temporal;
  readonly #ownWorker: () => boolean;
  readonly #hide: (line: Line) => Line;
  readonly #told = new Map<string, Told>();
  readonly #story: Story;
  #toldUntil = { at: 0, texts: new Set<string>() };
  #snapshot: Snapshot | null = null;
  #moves: readonly Snapshot[] = [];
  #lookedAt = 0;
  readonly #lookEveryMs: number;

  /** `hide` removes passwords from the lines of the log files. */
  constructor(
    temporal: Temporal,
    ownWorker: () => boolean,
    interactive: boolean,
    hide: (line: Line) => Line,
  ) {
    this.#lookEveryMs = interactive ? LOOK_EVERY_MS.interactive : LOOK_EVERY_MS.otherwise;
    this.#temporal = temporal;
    this.#ownWorker = ownWorker;
    this.#hide = hide;
    this.#story = new Story(ownWorker);
  }

  async take(snapshot: Snapshot): Promise<Line[]> {
    const progress = rebalanceProgress(snapshot);
    this.#snapshot = snapshot;
    const lines = this.#story.tellTroubles(snapshot);
    if (!progress) return lines;
    lines.push(...this.#newEvents(progress));
    for (const { workflowId, schema } of progress.running) await this.#openLog(workflowId, schema);
    if (Date.now() - this.#lookedAt >= this.#lookEveryMs) {
      this.#moves = await movesOf(this.#temporal, progress, this.#moves);
      this.#lookedAt = Date.now();
      for (const move of this.#moves) lines.push(...this.#ofMove(move));
    }
    const running = new Set(progress.running.map(({ workflowId }) => workflowId));
    this.#moves = this.#moves.filter(({ workflowId }) => running.has(workflowId));
    await this.#endLogs(running);
    return lines.sort((a, b) => a.at.getTime() - b.at.getTime());
  }

  get idle(): boolean {
    return [this.#snapshot, ...this.#moves].some((snapshot) => Boolean(snapshot?.idleQueue));
  }

  get answered(): boolean {
    return this.#progress !== null;
  }

  draw(frame: Frame): string[] {
    const snapshot = this.#snapshot;
    if (!snapshot) return [];
    const looks = [snapshot, ...this.#moves];
    const idle = looks.flatMap((look) => {
      const queue = this.#story.idleQueue(look);
      return queue === null ? [] : [{ queue, snapshot: look }];
    });
    return renderRebalance({ ...frame, snapshot, moves: this.#moves, idle: idle[0] ?? null });
  }

  /** Shift+S resumes a paused rebalance; else it confirms all paused moves; if there are none, it ends all waits for lag. */
  goOn(): SteeringSignal | null {
    if (this.#progress?.phase === "paused") return "confirm";
    const signals = this.#moves.map(goOnOf);
    return (
      signals.find((signal) => signal === "confirm") ?? signals.find((signal) => signal !== null) ?? null
    );
  }

  pause(): SteeringSignal | null {
    return this.#progress && mayPause(this.#progress) ? "pause" : null;
  }

  get #progress(): RebalanceProgress | null {
    return this.#snapshot && rebalanceProgress(this.#snapshot);
  }

  close(): void {
    for (const { log } of this.#told.values()) log.close();
    this.#told.clear();
  }

  #newEvents({ events }: RebalanceProgress): Line[] {
    return events
      .filter(({ at, text }) => this.#isNew(at, text))
      .map(({ at, text }) => ({ at: new Date(at), text, sql: [] }));
  }

  /** The workflow keeps only its last events, so their positions in the list do not show which are new. */
  #isNew(at: number, text: string): boolean {
    if (at < this.#toldUntil.at || (at === this.#toldUntil.at && this.#toldUntil.texts.has(text)))
      return false;
    if (at > this.#toldUntil.at) this.#toldUntil = { at, texts: new Set() };
    this.#toldUntil.texts.add(text);
    return true;
  }

  async #openLog(workflowId: string, schema: string): Promise<void> {
    if (this.#told.has(workflowId)) return;
    this.#told.set(workflowId, {
      story: new Story(this.#ownWorker),
      log: await LogFile.open(schema),
    });
  }

  /** Writes new lines to the move's own log file; returns those that concern the rebalance as a whole. */
  #ofMove(move: Snapshot): Line[] {
    const told = this.#told.get(move.workflowId);
    if (!told) return [];
    const troubles = told.story.tellTroubles(move);
    for (const line of [...told.story.tellEvents(move), ...troubles]) told.log.write(this.#hide(line));
    const schema = move.progress?.schema ?? move.workflowId;
    return troubles.map((line) => ({ ...line, text: `${schema}: ${line.text}` }));
  }

  /** Writes the end of the story of each move that has ended to its log file. */
  async #endLogs(running: ReadonlySet<string>): Promise<void> {
    const over = [...this.#told].filter(([workflowId]) => !running.has(workflowId));
    await Promise.all(
      over.map(async ([workflowId, { story, log }]) => {
        this.#told.delete(workflowId);
        const last = await lookAt(this.#temporal, workflowId);
        for (const line of last ? story.tellEvents(last) : []) log.write(this.#hide(line));
        log.close();
      }),
    );
  }
}

import { REBALANCE_WORKFLOW_ID } from "../../contract/names.ts";
import { redact } from "../postgres/islands/redact.ts";
import { linkTo } from "../temporal/connection.ts";
import { watchLag } from "../watch/lag.ts";
import type { Outcome } from "../watch/outcome.ts";
import type { Line } from "../watch/story.ts";
import type { SentSignal, SteeringSignal, Watch } from "../watch/watch.ts";
import type { Session } from "../worker/session.ts";
import { DetachedError } from "./exit.ts";
import type { Ui } from "./ui.ts";
import { listen } from "./view/keys.ts";
import { LogFile } from "./view/log-file.ts";
import { MoveView } from "./view/move-view.ts";
import { RebalanceView } from "./view/rebalance-view.ts";
import type { Screen } from "./view/screen.ts";
import type { View } from "./view/view.ts";

/** The view is redrawn between two snapshots, to keep the clock and the spinner going. */
const REDRAW_MS = 100;

type Key = "Shift+S" | "Shift+P";

/** Milliseconds for which the effect of a key is shown. */
const NOTICE_MS = 5000;
/** What a key has done. */
const SENT: Record<SteeringSignal, string> = {
  confirm: "confirmed",
  skipLag: "told not to wait for replication lag",
  pause: "told to start no more moves",
  abort: "aborting",
};
const NO_EFFECT: Record<Key, string> = {
  "Shift+S": "Shift+S changes nothing now: nothing waits for a confirmation or for replication lag",
  "Shift+P": "Shift+P changes nothing now: only a rebalance can be paused, while it has moves to start",
};

/**
 * Shows a running workflow until it ends, stops without ending, or the command detaches, and handles keys and signals
 * in the meantime.
 *
 * @param signal the signal that this command has just sent to the workflow.
 */
export async function follow<T>(
  ui: Ui,
  session: Session,
  watch: Watch<T>,
  name: string,
  signal: SentSignal | null = null,
): Promise<Outcome<T>> {
  // In a terminal, the view itself shows this.
  const log = await LogFile.open(name, (text) => void (ui.interactive || ui.say(text)));
  const screen = ui.interactive ? await openScreen(ui) : null;
  return new Follower(ui, session, watch, log, screen, signal).run();
}

/** Loaded only for a terminal: the table of character widths takes 30 ms to load. */
async function openScreen(ui: Ui): Promise<Screen> {
  const { Screen: Opened } = await import("./view/screen.ts");
  return new Opened(ui.progress);
}

class Follower<T> {
  readonly #ui: Ui;
  readonly #session: Session;
  readonly #watch: Watch<T>;
  readonly #log: LogFile;
  readonly #view: View;
  readonly #screen: Screen | null;
  readonly #left = new AbortController();
  /** Ignores differences that were found before this time, in milliseconds since the epoch. */
  readonly #asOf: number;
  #aborting = false;
  #why = "";
  #hungUp = false;
  #tick = 0;
  #notice: { text: string; until: number } | null = null;
  /** Keys that were pressed before the first answer of the workflow. */
  readonly #early = new Set<Key>();

  constructor(
    ui: Ui,
    session: Session,
    watch: Watch<T>,
    log: LogFile,
    screen: Screen | null,
    signal: SentSignal | null,
  ) {
    this.#asOf = signal === null ? 0 : signal.name === "abort" ? Infinity : signal.at;
    this.#ui = ui;
    this.#session = session;
    this.#watch = watch;
    this.#log = log;
    const ownWorker = (): boolean => session.works;
    this.#view =
      watch.workflowId === REBALANCE_WORKFLOW_ID
        ? new RebalanceView(session.temporal, ownWorker, ui.interactive, (line) => this.#hide(line))
        : new MoveView(
            ownWorker,
            ui.interactive && !watch.endedAt
              ? (progress, stop) => watchLag(session.dsns, { ...progress, runId: watch.runId }, stop)
              : null,
          );
    this.#screen = screen;
  }

  async run(): Promise<Outcome<T>> {
    const { workflowId, runId, attached, endedAt } = this.#watch;
    if (endedAt) this.#say(`${workflowId} has ended already, at ${endedAt.toISOString()}`);
    else this.#say(`${attached ? "attached to" : "started"} ${workflowId}`);
    const link = linkTo(this.#session.temporal.target, workflowId, runId);
    if (link !== null) this.#say(`Temporal's page shows it: ${link}`);
    const stopListening = listen(this.#ui.interactive, {
      interrupt: () => this.#interrupt(),
      goOn: () => this.#press("Shift+S"),
      pause: () => this.#press("Shift+P"),
      hangUp: () => {
        this.#hungUp = true;
        this.#leave("the terminal is gone");
      },
      leave: () => this.#leave("asked to stop"),
    });
    const clock = this.#screen ? setInterval(() => this.#draw(), REDRAW_MS) : undefined;
    const broken = this.#session.workerFailure();
    broken.catch(() => undefined);
    try {
      // A workflow that has ended is looked at only once.
      if (endedAt) await this.#session.ready();
      const stopped = await Promise.race([this.#look(), broken]);
      if (stopped) return this.#logged(stopped);
      if (this.#left.signal.aborted) return await this.#detach();
      return this.#logged(await this.#watch.outcome());
    } finally {
      clearInterval(clock);
      stopListening();
      this.#draw();
      this.#screen?.keep();
      this.#view.close();
      this.#log.close();
    }
  }

  /** Writes to the log why it ended; on the screen, the error of the command says so. */
  #logged(outcome: Outcome<T>): Outcome<T> {
    if (outcome.kind !== "done")
      this.#log.write(this.#hide({ at: new Date(), text: `${outcome.kind}: ${outcome.message}`, sql: [] }));
    return outcome;
  }

  /** Returns an outcome if the workflow has stopped without ending, because rows differ. */
  async #look(): Promise<Outcome<T> | null> {
    for await (const snapshot of this.#watch.snapshots(this.#left.signal)) {
      for (const line of await this.#view.take(snapshot)) this.#line(line);
      this.#pressEarly();
      if (this.#view.idle && this.#session.takeOver())
        this.#say("no other worker is left; this command does the work now");
      this.#draw();
      const differs = snapshot.progress?.differs;
      if (differs !== undefined && !this.#aborting && differs.at > this.#asOf)
        return { kind: "failed", code: "differs", message: this.#kept(differs.text) };
    }
    return null;
  }

  #kept(differs: string): string {
    const id = this.#watch.workflowId;
    return (
      `${differs}\nNothing was switched. Both sides are kept for inspection: \`shardferry abort ${id}\` undoes the move, ` +
      `\`shardferry confirm ${id}\` compares the rows again.`
    );
  }

  #line(line: Line): void {
    const hidden = this.#hide(line);
    this.#log.write(hidden);
    if (!this.#screen) this.#ui.say(hidden.text, hidden.at);
  }

  #hide({ at, text, sql }: Line): Line {
    const { dsns } = this.#ui;
    return { at, text: redact(text, dsns), sql: sql.map((statement) => redact(statement, dsns)) };
  }

  #draw(): void {
    if (!this.#screen) return;
    const lines = this.#view.draw({
      logFile: this.#log.place,
      notice: this.#notice && Date.now() < this.#notice.until ? this.#notice.text : null,
      tick: this.#tick++,
      aborting: this.#aborting,
      sheet: this.#screen.sheet,
      colors: this.#ui.colors,
    });
    if (lines.length > 0) this.#screen.draw(lines.map((line) => redact(line, this.#ui.dsns)));
  }

  #interrupt(): void {
    if (this.#aborting) return this.#leave("^C again");
    this.#aborting = true;
    this.#say("aborting; press ^C again to leave the cleanup to the background");
    this.#send("abort");
  }

  #press(key: Key): void {
    if (this.#view.answered) return this.#obey(key);
    this.#early.add(key);
    this.#note(`${key} counts as soon as the workflow answers`);
  }

  #pressEarly(): void {
    if (!this.#view.answered) return;
    for (const key of this.#early) this.#obey(key);
    this.#early.clear();
  }

  #obey(key: Key): void {
    const signal = key === "Shift+S" ? this.#view.goOn() : this.#view.pause();
    this.#note(signal ? `${key}: ${SENT[signal]}` : NO_EFFECT[key]);
    if (signal) this.#send(signal);
  }

  #note(text: string): void {
    this.#notice = { text, until: Date.now() + NOTICE_MS };
    this.#draw();
  }

  #send(signal: SteeringSignal): void {
    this.#watch
      .signal(signal)
      .catch((error: unknown) => this.#say(`could not send ${signal}: ${String(error)}`));
  }

  #leave(why: string): void {
    this.#why = why;
    this.#left.abort();
  }

  async #detach(): Promise<Outcome<T>> {
    const { workflowId } = this.#watch;
    if (this.#watch.ended) return this.#watch.outcome();
    const goesOn = await this.#session.detach(workflowId);
    const what = this.#aborting ? "its abort continues" : "it continues";
    const how = goesOn
      ? `${what} in the background. \`shardferry attach ${workflowId}\` shows it again`
      : `the embedded Temporal server is being stopped. The same command line, or \`shardferry attach ${workflowId}\`, continues it`;
    throw new DetachedError(`Left ${workflowId} (${this.#why}); ${how}`, this.#hungUp);
  }

  #say(text: string): void {
    this.#line({ at: new Date(), text, sql: [] });
  }
}

import type { Session } from "../operations/session.ts";
import type { Watch } from "../operations/watch.ts";
import { redact } from "../postgres/dsn.ts";
import type { Outcome } from "../temporal/outcome.ts";
import type { Snapshot } from "../temporal/snapshot.ts";
import { DetachedError } from "./exit.ts";
import type { Ui } from "./ui.ts";
import { listen } from "./view/keys.ts";
import { LogFile } from "./view/log-file.ts";
import { render } from "./view/render.ts";
import { Screen } from "./view/screen.ts";
import { type Line, Story } from "./view/story.ts";

/** Redraws between two looks keep the clock and the wheel going. */
const REDRAW_MS = 100;

/** Shows a running workflow until it has ended or is left, and obeys keys and signals meanwhile. */
export async function follow<T>(
  ui: Ui,
  session: Session,
  watch: Watch<T>,
  name: string,
): Promise<Outcome<T>> {
  return new Follower(ui, session, watch, await LogFile.open(name)).run();
}

class Follower<T> {
  readonly #ui: Ui;
  readonly #session: Session;
  readonly #watch: Watch<T>;
  readonly #log: LogFile;
  readonly #story: Story;
  readonly #screen: Screen | null;
  readonly #left = new AbortController();
  #snapshot: Snapshot | null = null;
  #aborting = false;
  #why = "";
  #hungUp = false;
  #tick = 0;

  constructor(ui: Ui, session: Session, watch: Watch<T>, log: LogFile) {
    this.#ui = ui;
    this.#session = session;
    this.#watch = watch;
    this.#log = log;
    this.#story = new Story(() => session.works);
    this.#screen = ui.interactive ? new Screen(ui.progress) : null;
  }

  async run(): Promise<Outcome<T>> {
    const { workflowId, attached } = this.#watch;
    this.#line({ at: new Date(), text: `${attached ? "attached to" : "started"} ${workflowId}`, sql: [] });
    const stopListening = listen(this.#ui.interactive, {
      interrupt: () => this.#interrupt(),
      goOn: () => this.#goOn(),
      hangUp: () => {
        this.#hungUp = true;
        this.#leave("the terminal is gone");
      },
      leave: () => this.#leave("told to end"),
    });
    const clock = this.#screen ? setInterval(() => this.#draw(), REDRAW_MS) : undefined;
    const broken = this.#session.workerFailure();
    broken.catch(() => undefined);
    try {
      await Promise.race([this.#look(), broken]);
      if (this.#left.signal.aborted) return await this.#detach();
      return await this.#watch.outcome();
    } finally {
      clearInterval(clock);
      stopListening();
      this.#draw();
      this.#screen?.keep();
      this.#log.close();
    }
  }

  async #look(): Promise<void> {
    for await (const snapshot of this.#watch.snapshots(this.#left.signal)) {
      this.#snapshot = snapshot;
      for (const line of this.#story.tell(snapshot)) this.#line(line);
      if (snapshot.idleQueue && this.#session.takeOver())
        this.#say("no worker is left: this command does the work now");
      this.#draw();
    }
  }

  #line(line: Line): void {
    const hidden = {
      at: line.at,
      text: redact(line.text, this.#ui.dsns),
      sql: line.sql.map((sql) => redact(sql, this.#ui.dsns)),
    };
    this.#log.write(hidden);
    if (!this.#screen) this.#ui.say(hidden.text, hidden.at);
  }

  #draw(): void {
    if (!this.#screen || !this.#snapshot) return;
    const frame = {
      snapshot: this.#snapshot,
      idleQueue: this.#story.idleQueue(this.#snapshot),
      logFile: this.#log.path,
      tick: this.#tick++,
      aborting: this.#aborting,
      rows: this.#screen.rows,
    };
    this.#screen.draw(render(frame, this.#ui.colors).map((line) => redact(line, this.#ui.dsns)));
  }

  #interrupt(): void {
    if (this.#aborting) return this.#leave("^C again");
    this.#aborting = true;
    this.#say("aborting; ^C again leaves the clean-up to the background");
    this.#send("abort");
  }

  #goOn(): void {
    const progress = this.#snapshot?.progress;
    if (progress?.phase === "paused") this.#send("confirm");
    else if (progress?.step === "wait for lag") this.#send("skipLag");
  }

  #send(signal: "abort" | "confirm" | "skipLag"): void {
    this.#watch
      .signal(signal)
      .catch((error: unknown) => this.#say(`${signal} did not get through: ${String(error)}`));
  }

  #leave(why: string): void {
    this.#why = why;
    this.#left.abort();
  }

  async #detach(): Promise<Outcome<T>> {
    const { workflowId } = this.#watch;
    if (this.#watch.ended) return this.#watch.outcome();
    await this.#session.detach(workflowId);
    throw new DetachedError(
      `Left ${workflowId} (${this.#why}); it goes on. \`shardferry attach ${workflowId}\` shows it again`,
      this.#hungUp,
    );
  }

  #say(text: string): void {
    this.#line({ at: new Date(), text, sql: [] });
  }
}

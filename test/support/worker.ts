import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { after } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import type { FaultPoint } from "../../activities/attempt/fault-points.ts";
import { waitFor } from "./wait.ts";
import { bundleWorker } from "./worker-bundle.ts";
import { bundleWorkflows } from "./workflow-bundle.ts";

/** Milliseconds within which a worker has to stop at the end of a test. */
const STOP_MS = 3000;

/** What a worker does at its fault point: dies of SIGKILL, freezes (SIGSTOP), waits for `goOn`, or only reports it. */
export type FaultMode = "kill" | "stop" | "hold" | "tell";

export interface WorkerOptions {
  address: string;
  namespace: string;
  dsns: readonly string[];
  /** The name of a fault point, such as `before tablesync` or `after commit source`. */
  fault?: FaultPoint | undefined;
  mode?: FaultMode | undefined;
  env?: Record<string, string>;
  /** The file of the bundled workflows, if not the usual one. */
  workflows?: string;
}

/** The configuration of a process: a worker, and what it does at its fault point. */
export interface Order extends Omit<WorkerOptions, "env"> {
  workflows: string;
}

const processes = new Set<ChildProcess>();
/** Processes that wait to become another worker: loading the code is most of the work of starting a worker. */
const idle: ChildProcess[] = [];
after(async () => {
  for (const child of processes) child.kill("SIGKILL");
  await Promise.all([...processes].map((child) => once(child, "close")));
});

async function newProcess(env: Record<string, string> = {}): Promise<ChildProcess> {
  const child = fork(await bundleWorker(), {
    stdio: ["ignore", "pipe", "pipe", "ipc"],
    env: { ...process.env, ...env },
    // Most of them live for seconds: optimizing their code took a fifth of their time.
    execArgv: ["--no-opt"],
  });
  processes.add(child);
  child.once("close", () => {
    processes.delete(child);
    if (idle.includes(child)) idle.splice(idle.indexOf(child), 1);
  });
  for (const stream of [child.stdout!, child.stderr!]) stream.pipe(process.stderr, { end: false });
  return child;
}

/** A worker in a process of its own. */
export class WorkerProcess {
  /** What it wrote to stdout and stderr. */
  output = "";
  readonly #child: ChildProcess;
  readonly #told = new Set<string>();
  readonly #note = (message: unknown): unknown => this.#told.add(message as string);
  readonly #collect = (chunk: Buffer): void => void (this.output += chunk.toString());

  private constructor(
    child: ChildProcess,
    /** Not for a worker with an environment of its own. */
    readonly reusable: boolean,
  ) {
    this.#child = child;
    child.on("message", this.#note);
    for (const stream of [child.stdout!, child.stderr!]) stream.on("data", this.#collect);
  }

  /** Starts a worker, and waits until it takes tasks. */
  static async start({ env, ...options }: WorkerOptions): Promise<WorkerProcess> {
    const order: Order = { workflows: await bundleWorkflows(), ...options };
    const child = (env ? undefined : idle.pop()) ?? (await newProcess(env));
    const worker = new WorkerProcess(child, env === undefined);
    child.send(order);
    await worker.#hear("ready");
    return worker;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Resolves when the worker has reached a fault point; in mode `kill`, when it is dead. */
  async reached(point: string): Promise<void> {
    await this.#hear(point);
  }

  /** Lets a worker that holds at its fault point continue. */
  goOn(): void {
    this.#child.send("go on");
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Lets a frozen worker continue: it reports its fault point before it freezes, and an earlier SIGCONT would be lost. */
  async wake(): Promise<void> {
    await waitFor(() => this.signal("SIGCONT") ?? this.#told.has("awake"), { what: "the worker to wake up" });
  }

  /** Sends SIGKILL, and waits until the worker is gone. */
  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.gone();
  }

  /** Stops the worker, so that its process can become another one; kills it if it does not stop. */
  async release(): Promise<void> {
    if (!this.running) return;
    if (!this.reusable) return this.kill();
    this.#child.send("stop");
    const stopped = this.#hear("stopped").then(() => true);
    if (!(await Promise.race([stopped, sleep(STOP_MS, false, { ref: false })]))) return this.kill();
    this.#child.off("message", this.#note);
    for (const stream of [this.#child.stdout!, this.#child.stderr!]) stream.off("data", this.#collect);
    idle.push(this.#child);
  }

  /** Resolves when the process is gone, for whatever reason. */
  async gone(): Promise<void> {
    if (this.running) await once(this.#child, "exit");
  }

  async #hear(message: string): Promise<void> {
    const heard = (): boolean => this.#told.has(message);
    // The last messages of a dead worker arrive before the end of the channel, but possibly after that of its process.
    await waitFor(() => heard() || !this.#child.connected, { what: `a worker to be ${message}` });
    if (!heard()) throw new Error(`The worker ended before it was ${message}:\n${this.output}`);
  }
}

import { type ChildProcess, fork } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const SCRIPT = fileURLToPath(new URL("./worker-process.ts", import.meta.url));

/** What a worker does at its fault point: dies of SIGKILL, freezes (SIGSTOP), waits for `goOn`, or only tells. */
export type FaultMode = "kill" | "stop" | "hold" | "tell";

export interface WorkerOptions {
  address: string;
  namespace: string;
  dsns: readonly string[];
  /** Name of a fault point, such as `before tablesync` or `after commit source`. */
  fault?: string;
  mode?: FaultMode;
  env?: Record<string, string>;
}

/** A worker in a process of its own. */
export class WorkerProcess {
  /** What it wrote to stdout and stderr. */
  output = "";
  readonly #child: ChildProcess;
  readonly #told = new Set<string>();

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.on("message", (message) => this.#told.add(message as string));
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.on("data", (chunk: Buffer) => {
        this.output += chunk.toString();
        process.stderr.write(chunk);
      });
    }
  }

  /** Starts a worker and waits until it takes tasks. */
  static async start({ address, namespace, dsns, fault, mode, env }: WorkerOptions): Promise<WorkerProcess> {
    const child = fork(SCRIPT, {
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      env: {
        ...process.env,
        ...env,
        TEST_ADDRESS: address,
        TEST_NAMESPACE: namespace,
        TEST_DSNS: dsns.join(","),
        TEST_FAULT: fault ?? "",
        TEST_FAULT_MODE: mode ?? "kill",
        TEST_FAULT_FILE: join(tmpdir(), `shardferry-fault-${randomBytes(6).toString("hex")}`),
      },
      execArgv: ["--import", "tsx"],
    });
    const worker = new WorkerProcess(child);
    await worker.#hear("ready");
    return worker;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Resolves when the worker has come to a fault point; in mode `kill`, when it is dead. */
  async reached(point: string): Promise<void> {
    await this.#hear(point);
  }

  /** Lets a worker that holds at its fault point go on. */
  goOn(): void {
    this.#child.send("go on");
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** SIGKILL, and waits until it is gone. */
  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.gone();
  }

  /** Resolves when the process is gone, by whatever means. */
  async gone(): Promise<void> {
    if (this.running) await once(this.#child, "exit");
  }

  async #hear(message: string): Promise<void> {
    while (!this.#told.has(message)) {
      if (!this.running) throw new Error(`The worker ended before it told "${message}":\n${this.output}`);
      await Promise.race([once(this.#child, "message"), once(this.#child, "exit")]);
    }
  }
}

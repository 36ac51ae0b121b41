import { createInterface } from "node:readline";

import type { MoveResult } from "../../contract/move.ts";
import { AbortedError, EXIT, ShardferryError } from "../errors.ts";
import { Command, type Place } from "../sandbox/commands.ts";

/** A move as a user types it, in a process of its own. */
export class MoveCommand {
  readonly ended: Promise<MoveResult>;

  private constructor(
    private readonly command: Command,
    /** True when it draws on the terminal, where nobody else should write meanwhile. */
    readonly live: boolean,
  ) {
    this.ended = this.#result();
    this.ended.catch(() => undefined);
  }

  /** Starts it. At a terminal it has the live view and the keys; elsewhere its lines go to `say`. */
  static async start(
    args: readonly string[],
    place: Place,
    say: (line: string) => void,
  ): Promise<MoveCommand> {
    const live = process.stdin.isTTY && process.stderr.isTTY;
    // The result comes as JSON on stdout, whatever the person sees on stderr.
    const command = await Command.start([...args, "--json"], place, [
      live ? "inherit" : "ignore",
      "pipe",
      live ? "inherit" : "pipe",
    ]);
    const { stderr } = command.child;
    if (stderr) createInterface({ input: stderr }).on("line", (line) => say(line.replace(/^\S+Z /, "  ")));
    return new MoveCommand(command, live);
  }

  /** Ends the command; it gives the terminal back as it was. */
  async end(): Promise<void> {
    await this.command.end("SIGTERM");
  }

  async #result(): Promise<MoveResult> {
    let output = "";
    this.command.child.stdout!.on("data", (chunk: Buffer) => (output += chunk.toString()));
    const status = await this.command.ended();
    if (status === EXIT.done) return JSON.parse(output) as MoveResult;
    if (status === EXIT.aborted)
      throw new AbortedError("The move was aborted: the source is as it was, and so ends the demo");
    const { error } = JSON.parse(output || "{}") as { error?: { code: string; message: string } };
    throw new ShardferryError(
      error?.code ?? "failed",
      error?.message ?? `shardferry move ended with ${status}`,
    );
  }
}

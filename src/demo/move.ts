import { createInterface } from "node:readline";

import type { MoveResult } from "../../contract/move.ts";
import { AbortedError, EXIT, ShardferryError } from "../errors.ts";
import { Command, type Place } from "../sandbox/commands.ts";

/** A move as a user would start it, in a process of its own. */
export class MoveCommand {
  readonly ended: Promise<MoveResult>;

  private constructor(
    private readonly command: Command,
    /** True if it draws on the terminal, to which nothing else should write meanwhile. */
    readonly live: boolean,
  ) {
    this.ended = this.#result();
    this.ended.catch(() => undefined);
  }

  /** Starts it. In a terminal, it has the live view and the keys; otherwise its lines go to `say`. */
  static async start(
    args: readonly string[],
    place: Place,
    say: (line: string) => void,
  ): Promise<MoveCommand> {
    const live = process.stdin.isTTY && process.stderr.isTTY;
    // The result is JSON on stdout, whatever the user sees on stderr.
    const command = await Command.start([...args, "--json"], place, [
      live ? "inherit" : "ignore",
      "pipe",
      live ? "inherit" : "pipe",
    ]);
    const { stderr } = command.child;
    if (stderr) createInterface({ input: stderr }).on("line", (line) => say(line.replace(/^\S+Z /, "  ")));
    return new MoveCommand(command, live);
  }

  /** Lets the command leave the move, which continues; it restores the terminal. */
  /** Ends the command, which restores the terminal; the move itself continues. */
  async end(): Promise<void> {
    await this.command.end("SIGTERM");
  }

  async #result(): Promise<MoveResult> {
    let output = "";
    this.command.child.stdout!.on("data", (chunk: Buffer) => (output += chunk.toString()));
    const status = await this.command.ended();
    if (status === EXIT.done) return JSON.parse(output) as MoveResult;
    if (status === EXIT.aborted)
      throw new AbortedError("The move was aborted: the source is unchanged, and the demo ends");
    const { error } = JSON.parse(output || "{}") as { error?: { code: string; message: string } };
    throw new ShardferryError(
      error?.code ?? "failed",
      error?.message ?? `shardferry move ended with ${status}`,
    );
  }
}

import { AbortedError, EXIT, ShardferryError, UsageError } from "../errors.ts";

/** The command has detached; its workflow continues. */
export class DetachedError extends ShardferryError {
  /** True when the terminal is gone. */
  readonly hungUp: boolean;

  constructor(message: string, hungUp: boolean) {
    super("detached", message);
    this.hungUp = hungUp;
  }
}

/** Returns the exit status for an error. */
export function exitStatusOf(error: unknown): number {
  if (error instanceof UsageError) return EXIT.usage;
  if (error instanceof AbortedError || error instanceof DetachedError) return EXIT.aborted;
  return EXIT.failed;
}

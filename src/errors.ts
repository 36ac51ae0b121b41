/** The exit statuses of the command line. */
export const EXIT = { done: 0, failed: 1, usage: 2, aborted: 130 } as const;

/**
 * An error meant for the operator: what failed, on which island and shard, and what to do.
 * `code` is stable and goes into `--json` output; messages never contain a password.
 */
export class ShardferryError extends Error {
  readonly code: string;
  /** True if the same step may succeed later without anybody's intervention; `a few times` when nobody can tell. */
  readonly retryable: boolean | "a few times" = false;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** Wrong use of the command line or the settings: exit status 2, nothing was touched. */
export class UsageError extends ShardferryError {
  constructor(message: string, options?: ErrorOptions) {
    super("usage", message, options);
  }
}

/** A reason to refuse, found before anything was created. Never retried. */
export class RefusedError extends ShardferryError {
  readonly problems: readonly string[];

  constructor(problems: readonly string[], options?: ErrorOptions) {
    super("refused", problems.join("\n"), options);
    this.problems = problems;
  }
}

/** The text of any thrown value, without its stack. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === "") return error.errors.map(messageOf).join("; ");
  return error instanceof Error ? error.message : String(error);
}

/** The workflow of the command was aborted, by the command itself or from elsewhere. */
export class AbortedError extends ShardferryError {
  constructor(message: string) {
    super("aborted", message);
  }
}

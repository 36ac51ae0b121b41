import { ApplicationFailure, type ApplicationFailureOptions, CancelledFailure } from "@temporalio/common";

import type { StepProgress } from "../../contract/progress.ts";
import { ShardferryError } from "../../src/errors.ts";
import { islandOf } from "../../src/postgres/errors/origin.ts";
import { lackOf, type Outlook, outlookOfSqlstate } from "../../src/postgres/errors/outlook.ts";
import { isSqlstate, sqlstateOf } from "../../src/postgres/errors/sqlstate.ts";
import { messageWithoutRows, withoutRows } from "../../src/postgres/errors/without-rows.ts";
import { UnknownIslandError } from "../../src/postgres/islands/connections.ts";
import { isNetworkError } from "../../src/postgres/islands/lost-session.ts";

type ErrorClass = abstract new (...args: never[]) => Error;

/** The errors after which a step is tried again. */
export interface RetryRule {
  /** `transient`: those that go away on their own. `any`: all, since the step continues once somebody has fixed the cause. */
  readonly on: "transient" | "any";
  /** Errors after which retrying this step is pointless. */
  readonly except: readonly ErrorClass[];
}

/** The rule for a step that does not state its own. */
const TRANSIENT: RetryRule = { on: "transient", except: [] };

/** A function with the rule for retrying it. */
export type Retried<F> = F & { readonly retryRule?: RetryRule };

/** Marks a step whose work has to be done no matter what. */
export const untilDone = <F extends object>(run: F, ...except: ErrorClass[]): Retried<F> =>
  Object.assign(run, { retryRule: { on: "any", except } as const });

const UNKNOWN_ISLAND_RETRY = "500ms";

/** An error that may pass counts as lasting once it has occurred this often in the same way. */
export const MOST_TIMES = 3;

/** The text by which a recurring error is recognized. Numbers are left out: they may be those of files and processes. */
export function recognizable(error: unknown, redact: (text: string) => string): string {
  const message = redact(messageWithoutRows(error)).replaceAll(/\d+/g, "#");
  return `${islandOf(error) ?? ""} ${sqlstateOf(error)} ${message}`.slice(0, 200);
}

/**
 * Turns whatever an activity threw into the failure that the history keeps: typed, redacted, and with its island.
 *
 * @param times how often it has occurred in the same way, this time included.
 * @param told what the step has reported last; a failure without another attempt would lose it.
 */
export function toFailure(
  error: unknown,
  redact: (text: string) => string,
  { on, except }: RetryRule = TRANSIENT,
  times = 1,
  told: Pick<StepProgress, "blocked"> = {},
): Error {
  if (error instanceof CancelledFailure && told.blocked)
    return new CancelledFailure(error.message, [{ blocked: told.blocked }]);
  if (error instanceof CancelledFailure || error instanceof ApplicationFailure) return error;
  if (error instanceof Error && error.name === "AbortError") return error;
  const retryable =
    !except.some((type) => error instanceof type) && (on === "any" || isRetryable(error, times));
  const failure: ApplicationFailureOptions = {
    message: redact(describe(error)),
    type: typeOf(error),
    nonRetryable: !retryable,
  };
  if (told.blocked) failure.details = [{ blocked: told.blocked }];
  // Another worker may well get the next attempt, and will sooner or later.
  if (error instanceof UnknownIslandError) failure.nextRetryDelay = UNKNOWN_ISLAND_RETRY;
  return ApplicationFailure.create(failure);
}

/**
 * True for an error after which the same step may well succeed.
 *
 * @param times how often it has occurred so far, for an error that may or may not pass.
 */
export function isRetryable(error: unknown, times = 1): boolean {
  const outlook = outlookOf(error);
  return outlook === "passes" || (outlook === "may pass" && times < MOST_TIMES);
}

/**
 * Waits for work that must not hold up the end of a workflow, and that returns its failures in words: returns a lasting
 * error in the same way, and throws one that may pass.
 */
export async function lastingFailures(work: Promise<string[]>, times: number): Promise<string[]> {
  try {
    return await work;
  } catch (error) {
    if (isRetryable(error, times)) throw error;
    return [messageWithoutRows(error)];
  }
}

/** What to expect of an error if the same thing is tried again. */
export function outlookOf(error: unknown): Outlook {
  if (error instanceof ShardferryError)
    return error.retryable === "a few times" ? "may pass" : error.retryable ? "passes" : "lasts";
  if (!(error instanceof Error)) return "lasts";
  if (isNetworkError(error)) return "passes";
  const code = sqlstateOf(error);
  if (isSqlstate(code)) return outlookOfSqlstate(code);
  if (!(error instanceof AggregateError)) return "lasts";
  return error.errors.every((one) => outlookOf(one) === "passes") ? "passes" : "lasts";
}

function typeOf(error: unknown): string {
  if (error instanceof ShardferryError) return error.code;
  const code = sqlstateOf(error);
  return lackOf(code)?.code ?? (code || (error instanceof Error ? error.name : "unknown"));
}

/** Everything that a database error says, but no rows, in one text: island, message, detail, hint, SQLSTATE. */
function describe(error: unknown): string {
  const island = islandOf(error);
  const { message, detail, hint, where } = withoutRows(error);
  const code = sqlstateOf(error);
  const parts = [
    island ? `${island}: ${message}` : message,
    detail,
    hint && `hint: ${hint}`,
    where && `in ${where}`,
    isSqlstate(code) && `SQLSTATE ${code}`,
    lackOf(code)?.remedy,
  ];
  return parts.filter(Boolean).join("; ");
}

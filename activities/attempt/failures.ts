import { ApplicationFailure, type ApplicationFailureOptions, CancelledFailure } from "@temporalio/common";

import { messageOf, ShardferryError } from "../../src/errors.ts";
import { islandOf } from "../../src/postgres/error-origin.ts";
import { UnknownIslandError } from "../../src/postgres/islands/connections.ts";
import { classOf, SQLSTATE, SQLSTATE_CLASS } from "../../src/postgres/sqlstate.ts";

/** Classes of SQLSTATEs whose causes usually go away on their own. */
const TRANSIENT_CLASSES: readonly string[] = [
  SQLSTATE_CLASS.connectionException,
  SQLSTATE_CLASS.transactionRollback,
  SQLSTATE_CLASS.insufficientResources,
  SQLSTATE_CLASS.systemError,
];

/** Such SQLSTATEs of other classes. All others mean that the statement itself is wrong. */
const TRANSIENT_STATES: readonly string[] = [
  SQLSTATE.objectInUse,
  SQLSTATE.lockNotAvailable,
  SQLSTATE.queryCanceled,
  // The server is restarting, or the session was ended.
  SQLSTATE.adminShutdown,
  SQLSTATE.crashShutdown,
  SQLSTATE.cannotConnectNow,
  SQLSTATE.databaseDropped,
  SQLSTATE.idleSessionTimeout,
  SQLSTATE.idleInTransactionSessionTimeout,
  SQLSTATE.transactionTimeout,
  SQLSTATE.inFailedTransaction,
  // "tuple concurrently updated"
  SQLSTATE.internalError,
];

/** Errors of the network and of node-postgres, which have no SQLSTATE. */
const NETWORK_CODES = /^(ECONN|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EAI_AGAIN|ENOTFOUND)/;
const CONNECTION_MESSAGES =
  /connection terminated|connection.*timeout|timeout expired|timeout exceeded|server closed the connection|could not connect|connection to server|client was closed|is not queryable/i;

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

/** Marks a step that ends with some errors after which other steps are retried. */
export const endedBy = <F extends object>(run: F, ...except: ErrorClass[]): Retried<F> =>
  Object.assign(run, { retryRule: { on: "transient", except } as const });

const UNKNOWN_ISLAND_RETRY = "500ms";

/** Turns whatever an activity threw into the failure that the history keeps: typed, redacted, and with its island. */
export function toFailure(
  error: unknown,
  redact: (text: string) => string,
  { on, except }: RetryRule = TRANSIENT,
): Error {
  if (error instanceof CancelledFailure || error instanceof ApplicationFailure) return error;
  if (error instanceof Error && error.name === "AbortError") return error;
  const retryable = !except.some((type) => error instanceof type) && (on === "any" || isRetryable(error));
  const failure: ApplicationFailureOptions = {
    message: redact(describe(error)),
    type: typeOf(error),
    nonRetryable: !retryable,
  };
  // Another worker may well get the next attempt, and will sooner or later.
  if (error instanceof UnknownIslandError) failure.nextRetryDelay = UNKNOWN_ISLAND_RETRY;
  return ApplicationFailure.create(failure);
}

/** True for an error after which the same step may well succeed. */
export function isRetryable(error: unknown): boolean {
  if (error instanceof ShardferryError) return error.retryable;
  if (!(error instanceof Error)) return false;
  const { code } = error as { code?: unknown };
  if (typeof code === "string" && /^[0-9A-Z]{5}$/.test(code) && !NETWORK_CODES.test(code))
    return TRANSIENT_CLASSES.includes(classOf(code)) || TRANSIENT_STATES.includes(code);
  if (typeof code === "string" && NETWORK_CODES.test(code)) return true;
  if (error instanceof AggregateError) return error.errors.every(isRetryable);
  return CONNECTION_MESSAGES.test(error.message);
}

function typeOf(error: unknown): string {
  if (error instanceof ShardferryError) return error.code;
  const { code } = error as { code?: unknown };
  return typeof code === "string" ? code : error instanceof Error ? error.name : "unknown";
}

/** Everything that a database error says, in one text: island, message, detail, hint, SQLSTATE. */
function describe(error: unknown): string {
  const { code, detail, hint, where } = error as {
    code?: string;
    detail?: string;
    hint?: string;
    where?: string;
  };
  const island = islandOf(error);
  const parts = [
    island ? `${island}: ${messageOf(error)}` : messageOf(error),
    detail,
    hint && `hint: ${hint}`,
    where && `in ${where}`,
    code && /^[0-9A-Z]{5}$/.test(code) && `SQLSTATE ${code}`,
  ];
  return parts.filter(Boolean).join("; ");
}

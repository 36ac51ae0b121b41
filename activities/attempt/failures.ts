import { ApplicationFailure, CancelledFailure } from "@temporalio/common";

import { messageOf, ShardferryError } from "../../src/errors.ts";
import { islandOf } from "../../src/postgres/error-origin.ts";
import { UnknownIslandError } from "../../src/postgres/islands/connections.ts";

/**
 * SQLSTATE classes and codes that heal by themselves: lost connections, serialization failures, lack of
 * resources, locks not granted, a server that restarts, a session ended by a timeout, I/O errors and
 * "tuple concurrently updated" (XX000). Everything else means that the statement itself is wrong.
 */
const RETRYABLE = /^(08|40|53|55006|55P03|57014|57P0\d|25P0[234]|58|XX000)/;

/** Errors of the network and of node-postgres, which have no SQLSTATE. */
const NETWORK_CODES = /^(ECONN|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EAI_AGAIN|ENOTFOUND)/;
const CONNECTION_MESSAGES =
  /connection terminated|connection.*timeout|timeout expired|timeout exceeded|server closed the connection|could not connect|connection to server|client was closed|is not queryable/i;

/** Steps whose work has to be done in any case; somebody who mends the cause lets them go on. */
const NEVER_GIVE_UP = new Set([
  "settle switch",
  "drop replication",
  "drop structure",
  "clean up",
  "commit everywhere",
  "roll back everywhere",
  "release shards",
]);

const UNKNOWN_ISLAND_RETRY = "500ms";

/** Turns whatever an activity threw into the failure that the history keeps: typed, redacted, with its island. */
export function toFailure(error: unknown, activity: string, redact: (text: string) => string): Error {
  if (error instanceof CancelledFailure || error instanceof ApplicationFailure) return error;
  if (error instanceof Error && error.name === "AbortError") return error;
  const retryable =
    (NEVER_GIVE_UP.has(activity) && !isFinal(error, activity)) || isRetryable(error, activity);
  return ApplicationFailure.create({
    message: redact(describe(error)),
    type: typeOf(error),
    nonRetryable: !retryable,
    // Another worker may take the very next attempt, and will sooner or later.
    ...(error instanceof UnknownIslandError ? { nextRetryDelay: UNKNOWN_ISLAND_RETRY } : {}),
  });
}

/** True for an error after which the same step may well succeed. */
export function isRetryable(error: unknown, activity = ""): boolean {
  if (error instanceof UnknownIslandError) return activity !== "lease shards";
  if (error instanceof ShardferryError) return error.retryable;
  if (!(error instanceof Error)) return false;
  const { code } = error as { code?: unknown };
  if (typeof code === "string" && /^[0-9A-Z]{5}$/.test(code) && !NETWORK_CODES.test(code))
    return RETRYABLE.test(code);
  if (typeof code === "string" && NETWORK_CODES.test(code)) return true;
  if (error instanceof AggregateError) return error.errors.every((inner) => isRetryable(inner, activity));
  return CONNECTION_MESSAGES.test(error.message);
}

/**
 * What no patience changes, also in a step that has to be done in any case. To undo there is nothing in another database
 * than that of the move; to finish there is, as soon as the right one is back.
 */
const isFinal = (error: unknown, activity: string): boolean =>
  error instanceof ShardferryError &&
  (["already_switched", "prepared_lost"].includes(error.code) ||
    (error.code === "wrong_database" && activity.startsWith("drop ")));

function typeOf(error: unknown): string {
  if (error instanceof ShardferryError) return error.code;
  const { code } = error as { code?: unknown };
  return typeof code === "string" ? code : error instanceof Error ? error.name : "unknown";
}

/** One text of all that a database error tells: island, message, detail, hint, SQLSTATE. */
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

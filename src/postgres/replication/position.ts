import type { ClientBase } from "pg";

import { SQLSTATE } from "../errors/sqlstate.ts";
import { literal } from "../quote.ts";
import { rowsOfEach, untilSql } from "../session.ts";

/** SQL that makes the commits of a session wait for the disk, even if the server's default does not. */
export const DURABLE_SQL =
  "SELECT set_config('synchronous_commit', 'local', false) WHERE current_setting('synchronous_commit') = 'off'";

/** Runs that SQL in a session. */
export async function ensureDurable(client: ClientBase): Promise<void> {
  await client.query(DURABLE_SQL);
}

/** As `flushedPosition`: the position is on disk when the transaction of this statement has committed. */
export const POSITION_SQL = "SELECT pg_logical_emit_message(true, 'shardferry', '')::text AS lsn";

/**
 * Flushes the source's WAL and returns a position after every commit so far. The position alone
 * is not enough: it may not have been flushed, and with all writers locked out nothing else would flush it
 * (waits of 10-18 s were seen). The small commit of the message does; the flushed position by itself would
 * miss writers with synchronous_commit = off.
 */
export async function flushedPosition(source: ClientBase): Promise<string> {
  const answers = await rowsOfEach(source, ["SET LOCAL synchronous_commit = local", POSITION_SQL]);
  return answers[1]![0]!["lsn"] as string;
}

/** Milliseconds after which a destination that has not caught up is late. */
const LATE_MS = 1000;

/** A query whether the destination has applied everything up to a position of the source. */
const appliedSql = (subscription: string, position: string): string =>
  `SELECT coalesce(bool_or(latest_end_lsn >= ${literal(position)}::pg_lsn), false) AS applied
   FROM pg_stat_subscription WHERE subname = ${literal(subscription)} AND relid IS NULL AND pid IS NOT NULL`;

/**
 * A statement that waits on the destination until it has applied everything up to a position of the source, and fails with
 * `changesNotApplied` when the time is over. Looks at the apply worker itself: latest_end_lsn advances with keepalives, which come
 * after everything before them was applied, and reaches the position in 0.3-3 ms; the slot's confirmed_flush_lsn took
 * 190-600 ms.
 */
export const untilAppliedSql = (
  subscription: string,
  position: string,
  ms: number,
  late = `RAISE EXCEPTION USING ERRCODE = '${SQLSTATE.changesNotApplied}', MESSAGE = 'the last changes are not applied yet'`,
): string => untilSql(appliedSql(subscription, position), ms, late);

/** Waits in the same way, in one round trip however far away the destination is; false when the time is over. */
export async function waitUntilApplied(
  destination: ClientBase,
  subscription: string,
  position: string,
  ms: number,
): Promise<boolean> {
  const wait = untilAppliedSql(subscription, position, ms, "RETURN");
  const [, rows] = await rowsOfEach(destination, [wait, appliedSql(subscription, position)]);
  return rows![0]!["applied"] === true;
}

/**
 * Waits until the destination has applied everything that the source had when the wait began.
 *
 * @param late called every second until then; what it throws ends the wait.
 */
export async function untilCaughtUp(
  source: ClientBase,
  destination: ClientBase,
  subscription: string,
  late: () => void | Promise<void>,
): Promise<void> {
  const position = await flushedPosition(source);
  await untilReached(destination, subscription, () => Promise.resolve(position), late);
}

/** The same, up to a position that is asked for again each time. */
export async function untilReached(
  destination: ClientBase,
  subscription: string,
  positionOf: () => Promise<string>,
  late: () => void | Promise<void>,
): Promise<void> {
  while (!(await waitUntilApplied(destination, subscription, await positionOf(), LATE_MS))) await late();
}

import { classOf, isSqlstate, SQLSTATE_CLASS, sqlstateOf } from "./sqlstate.ts";

/**
 * What to expect of a server's error if the same thing is tried again: it passes, however long that takes; it may pass,
 * so a few more tries are worthwhile; or it lasts.
 */
export type Outlook = "passes" | "may pass" | "lasts";

/**
 * Every SQLSTATE of the classes that concern the state of a server, judged one by one. A SQLSTATE of any other class means
 * that the statement or its data is wrong, which lasts.
 */
const OUTLOOKS: Readonly<Record<string, Outlook>> = {
  // 08, connection exception: the network was cut, or a server went down.
  "08000": "passes", // connection_exception
  "08001": "passes", // sqlclient_unable_to_establish_sqlconnection: a subscription or a foreign server cannot reach the other server
  "08003": "passes", // connection_does_not_exist
  "08004": "may pass", // sqlserver_rejected_establishment_of_sqlconnection: from a pooler, which may be full or misconfigured
  "08006": "passes", // connection_failure
  "08007": "passes", // transaction_resolution_unknown: each step looks up what was committed
  "08P01": "may pass", // protocol_violation: a pooler without support for replication, or a COPY out of step

  // 25, invalid transaction state: the session is lost, and the next one is in another state.
  "25P02": "may pass", // in_failed_sql_transaction: the error that caused it was not seen, and recurs if it lasts
  "25P03": "passes", // idle_in_transaction_session_timeout: the worker was frozen or cut off
  "25P04": "passes", // transaction_timeout: ours, or the machine was slow

  // 40, transaction rollback: another transaction came first.
  "40000": "passes", // transaction_rollback
  "40001": "passes", // serialization_failure
  "40002": "lasts", // transaction_integrity_constraint_violation: the rows themselves are at fault
  "40003": "passes", // statement_completion_unknown: each step looks up what was committed
  "40P01": "passes", // deadlock_detected

  // 53, insufficient resources: trying again needs more of what has already run out. A disk that was filled again and again
  // ended in a PANIC of the server, which took down everything on it. Undoing the work frees the space.
  "53000": "lasts", // insufficient_resources
  "53100": "lasts", // disk_full
  "53200": "lasts", // out_of_memory: includes a full lock table and too many prepared transactions
  "53300": "passes", // too_many_connections: others will close theirs
  "53400": "lasts", // configuration_limit_exceeded: temp_file_limit

  // 55, object not in prerequisite state.
  "55000": "lasts", // object_not_in_prerequisite_state: a slot that is lost, a table without replica identity
  "55006": "passes", // object_in_use: a slot whose walsender has not noticed yet that its client is gone
  "55P02": "lasts", // cant_change_runtime_param
  "55P03": "passes", // lock_not_available
  "55P04": "lasts", // unsafe_new_enum_value_usage

  // 57, operator intervention: somebody ended a statement, a session or a server.
  "57000": "may pass", // operator_intervention
  "57014": "passes", // query_canceled
  "57P01": "passes", // admin_shutdown: a restart, or pg_terminate_backend
  "57P02": "passes", // crash_shutdown: another backend crashed
  "57P03": "passes", // cannot_connect_now: the server is starting or recovering
  "57P04": "lasts", // database_dropped: it does not come back
  "57P05": "passes", // idle_session_timeout

  // 58, system error: the disk or the installation. A missing file may be one that another session is about to create;
  // a missing library of a C function will still be missing tomorrow.
  "58000": "may pass", // system_error
  "58030": "may pass", // io_error: network storage may recover, a broken disk does not
  "58P01": "may pass", // undefined_file
  "58P02": "may pass", // duplicate_file
  "58P03": "lasts", // file_name_too_long

  // XX, internal error.
  XX000: "may pass", // internal_error: "tuple concurrently updated" passes; a value of more than 1 GB as text lasts
  XX001: "lasts", // data_corrupted: lasts until somebody repairs it
  XX002: "lasts", // index_corrupted
};

/** What to expect if the same thing is tried again. */
export const outlookOfSqlstate = (sqlstate: string): Outlook => OUTLOOKS[sqlstate] ?? "lasts";

/** A resource that a server has run out of: the code of the error, and what to do. */
interface Lack {
  readonly code: string;
  readonly remedy: string;
}

const LACKS: Readonly<Record<string, Lack>> = {
  "53100": {
    code: "disk_full",
    remedy: "the disk of that server is full: free space on it, or choose another destination",
  },
  "53200": {
    code: "out_of_memory",
    remedy:
      "give that server more memory, or raise the setting that the message names (max_locks_per_transaction if it mentions shared memory)",
  },
  "53400": {
    code: "limit_exceeded",
    remedy: "raise the setting that the message names on that server",
  },
};

const ANY_LACK: Lack = { code: "insufficient_resources", remedy: "see the log of that server" };

/** What a server has run out of, and what to do; null for an error of any other kind. */
export function lackOf(sqlstate: string): Lack | null {
  if (classOf(sqlstate) !== SQLSTATE_CLASS.insufficientResources || outlookOfSqlstate(sqlstate) === "passes")
    return null;
  return LACKS[sqlstate] ?? ANY_LACK;
}

/** True if a server refuses what a statement says, rather than failing because of its own state or for lack of something. */
export function refusesStatement(error: unknown): boolean {
  const code = sqlstateOf(error);
  return isSqlstate(code) && outlookOfSqlstate(code) === "lasts" && lackOf(code) === null;
}

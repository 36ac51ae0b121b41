import { classOf, SQLSTATE_CLASS } from "./sqlstate.ts";

/**
 * What is to be expected of an error of the server when the same thing is done again: it passes, however long it
 * takes; it may pass, so that a few tries are worth it; or it lasts.
 */
export type Outlook = "passes" | "may pass" | "lasts";

/**
 * Every SQLSTATE of the classes that have something to do with the state of a server, one by one. Those of all other
 * classes mean that the statement or its data is wrong, which lasts.
 */
const OUTLOOKS: Readonly<Record<string, Outlook>> = {
  // 08, connection exception: the network was cut, or a server went down.
  "08000": "passes", // connection_exception
  "08001": "passes", // sqlclient_unable_to_establish_sqlconnection: a subscription or foreign server does not reach its own
  "08003": "passes", // connection_does_not_exist
  "08004": "may pass", // sqlserver_rejected_establishment_of_sqlconnection: by a pooler, which may be full or not configured
  "08006": "passes", // connection_failure
  "08007": "passes", // transaction_resolution_unknown: each step looks up what was committed
  "08P01": "may pass", // protocol_violation: a pooler that knows no replication; or a COPY that has lost its thread

  // 25, invalid transaction state: the session is over, and the next one is not in that state.
  "25P02": "may pass", // in_failed_sql_transaction: the error before it was lost, and comes again if it lasts
  "25P03": "passes", // idle_in_transaction_session_timeout: the worker was frozen or cut off
  "25P04": "passes", // transaction_timeout: ours, or the machine was slow

  // 40, transaction rollback: somebody else came first.
  "40000": "passes", // transaction_rollback
  "40001": "passes", // serialization_failure
  "40002": "lasts", // transaction_integrity_constraint_violation: the rows themselves
  "40003": "passes", // statement_completion_unknown: each step looks up what was committed
  "40P01": "passes", // deadlock_detected

  // 53, insufficient resources: more tries need more of what there is too little of. A disk that was filled again and
  // again ended in a PANIC of the server, with all that was on it. To undo the work gives the space back.
  "53000": "lasts", // insufficient_resources
  "53100": "lasts", // disk_full
  "53200": "lasts", // out_of_memory: also the lock table, and prepared transactions
  "53300": "passes", // too_many_connections: others end theirs
  "53400": "lasts", // configuration_limit_exceeded: temp_file_limit

  // 55, object not in prerequisite state.
  "55000": "lasts", // object_not_in_prerequisite_state: a slot that is lost, a table without replica identity
  "55006": "passes", // object_in_use: a slot whose walsender has not noticed yet that nobody listens
  "55P02": "lasts", // cant_change_runtime_param
  "55P03": "passes", // lock_not_available
  "55P04": "lasts", // unsafe_new_enum_value_usage

  // 57, operator intervention: somebody ended a statement, a session or a server.
  "57000": "may pass", // operator_intervention
  "57014": "passes", // query_canceled
  "57P01": "passes", // admin_shutdown: the server restarts, or pg_terminate_backend
  "57P02": "passes", // crash_shutdown: another session crashed
  "57P03": "passes", // cannot_connect_now: it starts, or recovers
  "57P04": "lasts", // database_dropped: nobody brings this one back
  "57P05": "passes", // idle_session_timeout

  // 58, system error: the disk or the installation. A file that is not there may be one that another session was about
  // to make; the library of a function that the server lacks is not there tomorrow either.
  "58000": "may pass", // system_error
  "58030": "may pass", // io_error: storage over a network comes back, a broken disk does not
  "58P01": "may pass", // undefined_file
  "58P02": "may pass", // duplicate_file
  "58P03": "lasts", // file_name_too_long

  // XX, internal error.
  XX000: "may pass", // internal_error: "tuple concurrently updated" passes; a value of over 1 GB as text lasts
  XX001: "lasts", // data_corrupted: stays so until somebody mends it
  XX002: "lasts", // index_corrupted
};

/** What is to be expected when the same is done again. */
export const outlookOfSqlstate = (sqlstate: string): Outlook => OUTLOOKS[sqlstate] ?? "lasts";

/** What to do about resources that a server lacks, and the code of the error that says so. */
interface Lack {
  readonly code: string;
  readonly remedy: string;
}

const LACKS: Readonly<Record<string, Lack>> = {
  "53100": {
    code: "disk_full",
    remedy: "the disk of that server is full: make room on it, or take another destination",
  },
  "53200": {
    code: "out_of_memory",
    remedy:
      "give that server more memory, or raise what the message names (max_locks_per_transaction where it speaks of shared memory)",
  },
  "53400": {
    code: "limit_exceeded",
    remedy: "raise the setting that the message names on that server",
  },
};

const ANY_LACK: Lack = { code: "insufficient_resources", remedy: "see the log of that server" };

/** What a server lacks, and what to do; null for an error of another kind. */
export function lackOf(sqlstate: string): Lack | null {
  if (classOf(sqlstate) !== SQLSTATE_CLASS.insufficientResources || outlookOfSqlstate(sqlstate) === "passes")
    return null;
  return LACKS[sqlstate] ?? ANY_LACK;
}

/** The timeouts that roles and databases may have on every version; see NO_TRANSACTION_TIMEOUT for the one since 17. */
export const NO_TIMEOUTS = {
  statement_timeout: "0",
  lock_timeout: "0",
  idle_in_transaction_session_timeout: "0",
  idle_session_timeout: "0",
};

/**
 * Every session of ours has these, also those that run the operator's SQL; whatever else such a session needs is set
 * where it is opened. A role's or a database's own timeouts must not kill a copy in its middle (a role with
 * statement_timeout=200ms made tablesync loop for ever), literals mean what they mean to the parser of migrations, and
 * whoever has waited for a lock sees what was committed meanwhile.
 */
export const OWN_SETTINGS = {
  ...NO_TIMEOUTS,
  standard_conforming_strings: "on",
  default_transaction_isolation: "read committed",
  // A backend whose client has died stops its statement within this time.
  client_connection_check_interval: "2s",
};

/** A setting since PostgreSQL 17: an option that older servers do not know would refuse the connection. */
export const NO_TRANSACTION_TIMEOUT =
  "SELECT set_config('transaction_timeout', '0', false) WHERE current_setting('transaction_timeout', true) IS NOT NULL";

/** Sessions that copy write and read the text format alike, whatever their servers are set to. */
export const COPY_SETTINGS = {
  datestyle: "ISO",
  intervalstyle: "postgres",
  extra_float_digits: "3",
  bytea_output: "hex",
  lc_monetary: "C",
  row_security: "off",
};

/**
 * A session that holds locks for which the application waits is ended by the server when it hears nothing for this
 * long: by the idle timeout when the worker hangs, by TCP when the network is cut. Timeouts only: the operator's SQL
 * runs in such sessions, too, and has to mean what it means in psql.
 */
export const VANISHING_HOLDER = {
  idle_in_transaction_session_timeout: "2s",
  tcp_keepalives_idle: "1",
  tcp_keepalives_interval: "1",
  tcp_keepalives_count: "2",
  tcp_user_timeout: "3000",
};

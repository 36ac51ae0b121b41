/** The timeouts that roles and databases may have in every version; see LATE_SETTINGS for the one since 17. */
export const NO_TIMEOUTS = {
  statement_timeout: "0",
  lock_timeout: "0",
  idle_in_transaction_session_timeout: "0",
  idle_session_timeout: "0",
};

/**
 * A server notices within about 20 s that a client has vanished without a word: its machine froze, or the network was
 * cut. By default this takes two hours, and the session keeps its locks meanwhile.
 */
export const VANISHED_CLIENT = {
  tcp_keepalives_idle: "10",
  tcp_keepalives_interval: "5",
  tcp_keepalives_count: "2",
  tcp_user_timeout: "20s",
};

/**
 * All our sessions have these settings, including those that run the operator's SQL; anything else that a session needs
 * is set where it is opened. Timeouts of a role or a database must not kill a copy halfway (a role with
 * statement_timeout=200ms made tablesync loop forever); literals must mean what they mean to the parser of migrations;
 * and a statement that has waited for a lock must see what was committed in the meantime.
 */
export const OWN_SETTINGS = {
  ...NO_TIMEOUTS,
  ...VANISHED_CLIENT,
  standard_conforming_strings: "on",
  default_transaction_isolation: "read committed",
  // A backend whose client has died stops its statement within this time.
  client_connection_check_interval: "2s",
};

/**
 * Settings that every session of ours has, but not from its start. An option that older servers do not know, such as
 * transaction_timeout before PostgreSQL 17, would make them refuse the connection. And a provider makes a server read-only
 * when its disk is full: we may still empty it, but preflight has to see what the sessions of others begin with (reset_val).
 */
export const LATE_SETTINGS = `
  SELECT set_config(name, value, false)
  FROM (VALUES ('transaction_timeout', '0'), ('default_transaction_read_only', 'off')) late (name, value)
  WHERE current_setting(name, true) IS NOT NULL`;

/** With these, sessions that copy write and read the text format in the same way, whatever the settings of their servers. */
export const COPY_SETTINGS = {
  datestyle: "ISO",
  intervalstyle: "postgres",
  extra_float_digits: "3",
  bytea_output: "hex",
  array_nulls: "on",
  xmloption: "content",
  lc_monetary: "C",
  row_security: "off",
};

/**
 * The server ends a session that holds locks for which the application waits when it hears nothing for this long:
 * by the idle timeout if the worker hangs, by TCP if the network is cut. Timeouts only: the operator's SQL also runs
 * in such sessions, and has to mean what it means in psql.
 */
export const VANISHING_HOLDER = {
  idle_in_transaction_session_timeout: "2s",
  tcp_keepalives_idle: "1",
  tcp_keepalives_interval: "1",
  tcp_keepalives_count: "2",
  tcp_user_timeout: "3000",
};

/**
 * A session of an action on the command line. It holds its locks for moments, so that one which is idle in a
 * transaction for this long belongs to a command that hangs.
 */
export const ACTION_SETTINGS = { ...OWN_SETTINGS, idle_in_transaction_session_timeout: "10s" };

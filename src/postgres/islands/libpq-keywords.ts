/** The connection keywords of libpq that a DSN may carry, with the environment variable of each. */
export const KEYWORD_ENV: Readonly<Record<string, string | null>> = {
  host: "PGHOST",
  hostaddr: "PGHOSTADDR",
  port: "PGPORT",
  user: "PGUSER",
  password: "PGPASSWORD",
  dbname: "PGDATABASE",
  passfile: "PGPASSFILE",
  require_auth: "PGREQUIREAUTH",
  channel_binding: "PGCHANNELBINDING",
  service: "PGSERVICE",
  servicefile: "PGSERVICEFILE",
  options: "PGOPTIONS",
  application_name: "PGAPPNAME",
  fallback_application_name: null,
  client_encoding: "PGCLIENTENCODING",
  connect_timeout: "PGCONNECT_TIMEOUT",
  keepalives: null,
  keepalives_idle: null,
  keepalives_interval: null,
  keepalives_count: null,
  tcp_user_timeout: null,
  sslmode: "PGSSLMODE",
  sslnegotiation: "PGSSLNEGOTIATION",
  sslcompression: "PGSSLCOMPRESSION",
  sslcert: "PGSSLCERT",
  sslkey: "PGSSLKEY",
  sslpassword: null,
  sslcertmode: "PGSSLCERTMODE",
  sslrootcert: "PGSSLROOTCERT",
  sslcrl: "PGSSLCRL",
  sslcrldir: "PGSSLCRLDIR",
  sslsni: "PGSSLSNI",
  requirepeer: "PGREQUIREPEER",
  ssl_min_protocol_version: "PGSSLMINPROTOCOLVERSION",
  ssl_max_protocol_version: "PGSSLMAXPROTOCOLVERSION",
  gssencmode: "PGGSSENCMODE",
  krbsrvname: "PGKRBSRVNAME",
  gsslib: "PGGSSLIB",
  gssdelegation: "PGGSSDELEGATION",
  replication: null,
  target_session_attrs: "PGTARGETSESSIONATTRS",
  load_balance_hosts: "PGLOADBALANCEHOSTS",
};

/**
 * The keywords of TLS that a DSN may have twice: with this prefix they are for the server of a destination, which connects
 * to this island, too, and has files of its own.
 */
export const SUBSCRIPTION_PREFIX = "subscription_";
export const SUBSCRIPTION_SSL = [
  "sslmode",
  "sslrootcert",
  "sslcert",
  "sslkey",
  "sslcrl",
  "sslcrldir",
] as const;
export const SUBSCRIPTION_KEYWORDS: readonly string[] = SUBSCRIPTION_SSL.map(
  (keyword) => SUBSCRIPTION_PREFIX + keyword,
);

/**
 * Keywords that have a field of their own in `Dsn`, or that only say where to look up others; they are
 * never kept as parameters. PGOPTIONS is excluded, too: it is for the sessions that copy rows and build indexes
 * (a separate setting), while `options` in a DSN is for every session.
 */
const OWN_FIELDS = ["host", "port", "user", "password", "dbname", "passfile", "service", "servicefile"];
export const PARAM_KEYWORDS: readonly string[] = Object.keys(KEYWORD_ENV).filter(
  (keyword) => !OWN_FIELDS.includes(keyword),
);

/** Every environment variable from which libpq takes part of a connection. */
export const LIBPQ_VARIABLES: readonly string[] = [
  ...Object.values(KEYWORD_ENV).filter((name) => name !== null),
  "PGSYSCONFDIR",
  "PGREQUIRESSL",
];

export const SSL_MODES = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] as const;
export type SslMode = (typeof SSL_MODES)[number];

import type { MoveSwitches, ReplicationSwitches } from "../../contract/move.ts";
import { needed, type Option, option, optional } from "./option.ts";
import { REVERSIBLE } from "./way-back-options.ts";

/**
 * The options of the command line, by topic: flag, help, parser of the value, default and environment variables are
 * defined here, in shard-options.ts and in way-back-options.ts, and nowhere else.
 */

/** The databases to work on. */
export const ISLANDS = {
  dsns: option(
    "--dsns <dsn,…>",
    "databases, as postgresql://user:pass@host:port/db or host:port/db",
    (v) => v.text,
    { variables: ["DSNS", "PGDSNS", "PGHOST"], setting: true },
  ),
  dsn: option("--dsn <dsn>", "the same as --dsns", (v) => v.text, { setting: true }),
};

/** Options of every action. */
export const COMMON = {
  skipConfig: option("--skip-config", "do not look for shardferry.config.ts", (v) => v.yesNo),
  json: option("--json", "print the result as one JSON document", (v) => v.yesNo),
};

/** Options that config files can set. Every action checks them, even if it shows none of them. */
export const SETTINGS = {
  schemaNameFmt: option("--schema-name-fmt <format>", "how shards are named", (v) => v.text, {
    variables: ["SCHEMA_NAME_FMT"],
    otherwise: "sh%04d",
    setting: true,
  }),
  migrateCmd: option(
    "--migrate-cmd <command>",
    "shell command that creates the tables of new shards",
    (v) => v.text,
    { variables: ["MIGRATE_CMD"], setting: true },
  ),
  weightSql: option(
    "--weight-sql <query>",
    "query run once in each shard; its first column is the weight",
    (v) => v.text,
    { variables: ["WEIGHT_SQL"], setting: true },
  ),
  deactivateSql: option(
    "--deactivate-sql <sql>",
    "SQL run for each table of the old copy, whose name is $1",
    (v) => v.text,
    { variables: ["DEACTIVATE_SQL"], setting: true },
  ),
  parallelism: option("--parallelism <n>", "number of concurrent moves", (v) => v.wholeNumber(1, 1000), {
    variables: ["PARALLELISM"],
    fallback: 3,
    setting: true,
  }),
  maxReplicationLagSec: option(
    "--max-replication-lag-sec <n>",
    "heavy steps wait until the replication lag is below this many seconds",
    (v) => v.wholeNumber(0, 86_400),
    { variables: ["MAX_REPLICATION_LAG_SEC"], fallback: 20, setting: true },
  ),
} as const;

/** The schema to move or copy, and where. */
export const PLACES = {
  shard: option("--shard <n>", "number of the shard", (v) => v.shardNumber),
  schema: option("--schema <name>", "name of the schema, which need not be a shard", (v) => v.text),
  to: option("--to <island>", "destination: a DSN, or a unique prefix of an island's name", (v) => v.text),
  from: option("--from <island>", "source; optional for a shard, which is then looked up", (v) => v.text),
};

/** How moves and copies replicate a schema. */
export const REPLICATION_SWITCHES = {
  wait: option(
    "--wait [yes|no]",
    "pause before the last step until `shardferry confirm` or Shift+S",
    (v) => v.yesNo,
    { fallback: false },
  ),
  validateFks: option(
    "--validate-fks [yes|no]",
    "validate foreign keys; otherwise they arrive NOT VALID",
    (v) => v.yesNo,
    { fallback: false },
  ),
  maxReplicationLagSec: SETTINGS.maxReplicationLagSec,
  copyMethod: option(
    "--copy-method <method>",
    "auto, tablesync or direct: how rows are copied",
    (v) => v.copyMethod,
    { fallback: "auto" },
  ),
  maxWalBytes: option(
    "--max-wal <size>",
    "undo everything when the source keeps more WAL for it than this, for example 50GB",
    (v) => v.byteCount,
    { otherwise: "no limit" },
  ),
  verify: option(
    "--verify <mode>",
    "full: compare every row before the switch; none: do not",
    (v) => v.verifyMode,
    { fallback: "full" },
  ),
} satisfies { [K in keyof ReplicationSwitches]: Option<NonNullable<ReplicationSwitches[K]>> };

/** How a shard is moved, by itself or as part of a rebalance. */
export const MOVE_SWITCHES = {
  activateOnDestination: option(
    "--activate-on-destination <yes|no>",
    "no: a rehearsal that leaves a copy on the destination",
    (v) => v.yesNo,
    { fallback: true },
  ),
  maxWriteBlockMs: option(
    "--max-write-block-ms <ms>",
    "longest time that one attempt of the switch may block writers",
    (v) => v.wholeNumber(1, 600_000),
    { fallback: 3000 },
  ),
  maxWriteBlockBudgetSec: option(
    "--max-write-block-budget-sec <s>",
    "seconds in 10 min for which all attempts of the switch together may block writers",
    (v) => v.wholeNumber(1, 600),
    { fallback: 10 },
  ),
  cancelBlockersAfterMs: option(
    "--cancel-blockers-after <time>",
    "cancel the statement of a session that blocks the switch for this time, for example 5min",
    (v) => v.patience,
  ),
  terminateBlockersAfterMs: option(
    "--terminate-blockers-after <time>",
    "terminate a session that blocks the switch for this time, also one that is idle in its transaction",
    (v) => v.patience,
  ),
  ...REVERSIBLE,
  ...REPLICATION_SWITCHES,
  deactivateSql: SETTINGS.deactivateSql,
} satisfies { [K in keyof MoveSwitches]: Option<NonNullable<MoveSwitches[K]>> };

/** For actions that ask before they start. */
export const YES = option("--yes [yes|no]", "do not ask for confirmation", (v) => v.yesNo, {
  fallback: false,
});

/** Options of a move. */
export const MOVE = {
  shard: needed(PLACES.shard),
  to: needed(PLACES.to),
  from: PLACES.from,
  ...MOVE_SWITCHES,
  activateOnDestination: needed(MOVE_SWITCHES.activateOnDestination),
  rehearseSwitch: option(
    "--rehearse-switch [yes|no]",
    "in a rehearsal, also take the locks of the switch, and let go: reports how long writers were blocked, and who was in the way",
    (v) => v.yesNo,
    { fallback: false },
  ),
};

/** Options of a rollback: those of a move's switch. */
export const ROLLBACK = {
  shard: needed(PLACES.shard),
  wait: REPLICATION_SWITCHES.wait,
  verify: REPLICATION_SWITCHES.verify,
  maxReplicationLagSec: SETTINGS.maxReplicationLagSec,
  maxWriteBlockMs: MOVE_SWITCHES.maxWriteBlockMs,
  maxWriteBlockBudgetSec: MOVE_SWITCHES.maxWriteBlockBudgetSec,
  cancelBlockersAfterMs: MOVE_SWITCHES.cancelBlockersAfterMs,
  terminateBlockersAfterMs: MOVE_SWITCHES.terminateBlockersAfterMs,
};

/** Options of a copy. */
export const COPY = {
  schema: needed(PLACES.schema),
  from: needed(PLACES.from),
  to: needed(PLACES.to),
  ...REPLICATION_SWITCHES,
};

/** Options of a comparison. */
export const COMPARISON = {
  shard: PLACES.shard,
  schema: PLACES.schema,
  from: PLACES.from,
  to: option(
    "--to <island>",
    "where the copy is: a DSN, or a unique prefix of an island's name",
    (v) => v.text,
  ),
  toSchema: option("--to-schema <name>", "name of the copy, if it differs", (v) => v.text),
};

/** Options of a rebalance. */
export const REBALANCE = {
  decommission: option(
    "--decommission <dsn,…>",
    "islands to empty: DSNs, or unique prefixes of names",
    (v) => v.text,
  ),
  weightSql: SETTINGS.weightSql,
  maxBytes: option(
    "--max-bytes <size>",
    "move at most this much, for example 500GB, and use it for the most even layout",
    (v) => v.byteCount,
  ),
  parallelism: SETTINGS.parallelism,
  perIsland: option("--per-island <n>", "number of concurrent moves from or to one island", (v) =>
    v.wholeNumber(1, 1000),
  ),
  dryRun: option("--dry-run [yes|no]", "show the plan, and start nothing", (v) => v.yesNo, {
    fallback: false,
  }),
  out: option("--out <file>", "write the plan to a file, and start nothing", (v) => v.text),
  plan: option(
    "--plan <file>",
    "make exactly the moves of this plan, if the layout is still the same",
    (v) => v.text,
  ),
  ...MOVE_SWITCHES,
  yes: YES,
};

/** Options of a check: in the command line of these actions, the name can be replaced by "doctor". */
export const CHECK = optional({ ...PLACES, ...REBALANCE, ...COPY, ...MOVE });

export const CORRECTION = option(
  "--fix-sql [yes|no]",
  "print the SQL that would correct what was found, by island; it is not run",
  (v) => v.yesNo,
  { fallback: false },
);

export const MIGRATION = {
  file: option(
    "--file <file>",
    "file with the SQL, which runs in every shard with that shard as search_path",
    (v) => v.text,
  ),
  sql: option("--sql <sql>", "the SQL itself, instead of a file", (v) => v.text),
  name: option(
    "--name <name>",
    "name under which the shards record it, to skip it the next time (the file's name)",
    (v) => v.text,
  ),
  shards: option("--shards <n,m-k>", "numbers of shards, active or not", (v) => v.shardNumbers, {
    variables: ["SHARDFERRY_SHARDS"],
    otherwise: "all active ones",
  }),
  dryRun: option("--dry-run [yes|no]", "run it everywhere and roll it back everywhere", (v) => v.yesNo),
  mode: option(
    "--mode <all|each>",
    "all: all shards or none; each: one shard after another, without transactions",
    (v) => v.migrateMode,
    { fallback: "all" },
  ),
  batch: option(
    "--batch <n>",
    "change n shards of each island at a time, all of these or none, if locks run out",
    (v) => v.wholeNumber(1),
  ),
  lockTimeoutMs: option(
    "--lock-timeout-ms <ms>",
    "longest wait of a statement for a lock; then everything is tried again",
    (v) => v.wholeNumber(1, 60_000),
    { fallback: 100 },
  ),
  finishWaysBack: option(
    "--finish-ways-back [yes|no]",
    "close the open ways back of these shards first; otherwise such shards are refused",
    (v) => v.yesNo,
  ),
  deadlineSec: option(
    "--deadline-sec <s>",
    "time for all attempts together, and for the wait for moves of the same shards",
    (v) => v.wholeNumber(1, 86_400),
    { otherwise: "60, and no limit to the wait for moves" },
  ),
};

export const OLDER_THAN = option(
  "--older-than <time>",
  "only leftovers older than this: 30m, 12h, 7d, 2w",
  (v) => v.timeSpan,
);

export const VERBOSE = option(
  "--verbose [yes|no]",
  "add inserts, updates, deletes, index scans and sequential scans so far, with the rows that moves have copied",
  (v) => v.yesNo,
  { fallback: false },
);

/** How long `list` measures. */
export const RATE = option(
  "--rate <time>",
  "measure reads and writes for this time, for example 10s, and show them per second",
  (v) => v.measuringTime,
);

export const SANDBOX = option(
  "--sandbox <n>",
  "start n throw-away islands with shards and an application that writes, to try everything on",
  (v) => v.wholeNumber(2, 9),
);

export const WORKER = {
  log: option(
    "--log <text|json>",
    "how the log is written: a line per step that begins or ends",
    (v) => v.logFormat,
    {
      fallback: "text",
    },
  ),
  health: option(
    "--health <host:port>",
    "serve /healthz: 200 while the worker takes tasks, 503 while it drains or Temporal does not respond",
    (v) => v.listenAddress,
  ),
};

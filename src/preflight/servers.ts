import { randomBytes } from "node:crypto";

import type { ClientBase } from "pg";

import { allEnd } from "../all-end.ts";
import { duration, plural } from "../format.ts";
import { findPgDump } from "../machine/pg-programs.ts";
import { hasSqlstate, SQLSTATE } from "../postgres/errors/sqlstate.ts";
import { settingSql } from "../postgres/inherited-setting.ts";
import { ident } from "../postgres/quote.ts";
import { namesBegin, replicationName, runOfMark } from "../postgres/replication/names.ts";
import { runWithConninfo } from "../postgres/replication/objects.ts";
import { missingStandbys } from "../postgres/replication/standbys.ts";
import { readSchema } from "../postgres/schema/tables.ts";
import { MAJORS } from "../postgres/server.ts";
import type { Check, CheckContext, Server } from "./check.ts";

/** Unknown setting, invalid value, not allowed for this role, bad syntax, settable only at server start. */
const REFUSED_OPTIONS = [
  SQLSTATE.undefinedObject,
  SQLSTATE.invalidParameterValue,
  SQLSTATE.insufficientPrivilege,
  SQLSTATE.syntaxError,
  SQLSTATE.cannotChangeParameter,
];

/** The input of a check of one side only, so that `doctor` can run it on every island. */
type SourceContext = Pick<CheckContext, "source" | "from">;
type DestinationContext = Pick<CheckContext, "destination" | "to">;

/** Checks the version of a server, and that it is not in recovery. */
export const versionProblems = ({ name, identity, version, inRecovery }: Server): string[] => [
  ...(MAJORS.some((major) => major === identity.serverMajor)
    ? []
    : [`${name} runs PostgreSQL ${version}; versions ${MAJORS[0]} to ${MAJORS.at(-1)} are supported`]),
  ...(inRecovery ? [`${name} is a physical replica (in recovery): give the primary`] : []),
];

/** Checks both servers likewise, and that there is a pg_dump that is new enough for the source. */
export const versions: Check = async ({ from, to }) => {
  const problems = [from, to].flatMap(versionProblems);
  await findPgDump(from.identity.serverMajor).catch((error: Error) => problems.push(error.message));
  return problems;
};

/** The two names must not lead to the same database. */
export const different: Check = ({ from, to }) =>
  Promise.resolve(
    from.database === to.database
      ? [`${from.name} and ${to.name} are the same database: choose another destination`]
      : [],
  );

export const encodings: Check = ({ from, to }) =>
  Promise.resolve(
    from.encoding === to.encoding
      ? []
      : [
          `${from.name} has the encoding ${from.encoding}, ${to.name} ${to.encoding}: create the destination's database with ENCODING '${from.encoding}'`,
        ],
  );

/** The server has to accept PGOPTIONS, which would otherwise be used only when the first index is built. */
export const indexSessions: Check = async ({ islands, to, pgOptions }) => {
  if (!pgOptions) return [];
  try {
    await islands.withSession(to.name, { pgOptions }, (client) => client.query("SELECT"));
    return [];
  } catch (error) {
    // Any other error of a connection is temporary.
    if (!hasSqlstate(error, ...REFUSED_OPTIONS)) throw error;
    return [`${to.name} does not accept PGOPTIONS="${pgOptions}": ${(error as Error).message}`];
  }
};

/** From version 19 on, logical decoding is turned on by the first slot, unless wal_level is minimal. */
const canDecode = ({ identity, settings }: Server): boolean =>
  settings["wal_level"] === "logical" || (identity.serverMajor >= 19 && settings["wal_level"] === "replica");

/** The source needs logical decoding, a free slot and a free walsender; tablesync takes one more of each. */
export const sourceCapacity = async ({ source, from }: SourceContext): Promise<string[]> => {
  const problems: string[] = [];
  if (!canDecode(from)) {
    problems.push(
      `${from.name} has wal_level = ${from.settings["wal_level"]}: set wal_level = logical there and restart it`,
    );
  }
  const { rows } = await source.query<{ slots: string; senders: string }>(
    `SELECT (SELECT count(*) FROM pg_replication_slots) AS slots,
            (SELECT count(*) FROM pg_stat_replication) AS senders`,
  );
  for (const [setting, used, what] of [
    ["max_replication_slots", rows[0]!.slots, "replication slot"],
    ["max_wal_senders", rows[0]!.senders, "walsender"],
  ] as const) {
    const limit = Number(from.settings[setting]);
    if (Number(used) >= limit)
      problems.push(`${from.name} has no free ${what} (${used} of ${limit} in use): raise ${setting} there`);
  }
  if (!from.replicationRole) {
    problems.push(
      `role ${from.role} may not use replication on ${from.name}: ALTER ROLE ${from.role} REPLICATION`,
    );
  }
  return problems;
};

/** The destination needs a free apply worker: without one, a subscription waits silently. */
export const destinationCapacity = async ({ destination, to }: DestinationContext): Promise<string[]> => {
  const problems: string[] = [];
  const { rows } = await destination.query<{
    workers: string;
    background: string;
    origins: string;
    allowed: boolean;
  }>(
    `SELECT
       (SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'logical replication %worker') AS workers,
       (SELECT count(*) FROM pg_stat_activity
        WHERE backend_type LIKE 'logical replication %' OR backend_type = 'parallel worker') AS background,
       (SELECT count(*) FROM pg_replication_origin) AS origins,
       (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
         OR coalesce((SELECT pg_has_role(oid, 'MEMBER') FROM pg_roles WHERE rolname = 'pg_create_subscription'), false) AS allowed`,
  );
  const { workers, background, origins, allowed } = rows[0]!;
  // Before 18, the origins of subscriptions count towards max_replication_slots.
  const originSetting =
    to.identity.serverMajor >= 18 ? "max_active_replication_origins" : "max_replication_slots";
  for (const [setting, used, what] of [
    ["max_logical_replication_workers", workers, "logical replication worker"],
    ["max_worker_processes", background, "background worker"],
    [originSetting, origins, "replication origin"],
  ] as const) {
    const limit = Number(to.settings[setting]);
    if (Number(used) >= limit)
      problems.push(`${to.name} has no free ${what} (${used} of ${limit} in use): raise ${setting} there`);
  }
  if (!allowed) {
    const remedy =
      to.identity.serverMajor >= 16
        ? `GRANT pg_create_subscription TO ${to.role}`
        : "a superuser is needed before PostgreSQL 16";
    problems.push(`role ${to.role} may not create subscriptions on ${to.name}: ${remedy}`);
  }
  if (to.settings["default_transaction_read_only"] === "on") {
    const remedy = await settingSql(destination, "default_transaction_read_only", "off");
    problems.push(`${to.name} has default_transaction_read_only = on: ${remedy}`);
  }
  return problems;
};

/** The destination's server has to reach the source with the connection string of the subscription: tries it, and rolls back. */
export const subscriberReachesPublisher = (conninfo: string): Check => {
  return async ({ destination, from, to }) => {
    // The server would log its warning that there is no such publication, including the connection string, and only
    // a superuser can prevent that.
    if (!to.identity.superuser) return [];
    const command =
      `CREATE SUBSCRIPTION shardferry_probe_${randomBytes(6).toString("hex")} CONNECTION %L PUBLICATION shardferry_probe ` +
      `WITH (create_slot = false, slot_name = NONE, enabled = false, copy_data = false)`;
    await destination.query("BEGIN");
    try {
      await runWithConninfo(destination, command, conninfo);
      return [];
    } catch (error) {
      return [
        `the server of ${to.name} cannot connect to ${from.name}: ${(error as Error).message}${aboutFiles(conninfo)}`,
      ];
    } finally {
      await destination.query("ROLLBACK");
    }
  };
};

/** The files of TLS in a DSN are looked for on the machine of the server that connects. */
const aboutFiles = (conninfo: string): string =>
  /\bssl(?:rootcert|cert|key|crl|crldir)='/.test(conninfo)
    ? `; files of TLS are looked for on that server: subscription_sslrootcert=… and the like in the DSN of the source name others`
    : "";

/** PostgreSQL shows the positions of physical replicas only to some roles; moves need them to wait for the lag. */
export const replicasInSight = async (client: ClientBase, { name, role }: Server): Promise<string[]> => {
  const { rows } = await client.query<{ hidden: number }>(
    `SELECT count(*)::int AS hidden FROM pg_stat_replication r JOIN pg_stat_activity a USING (pid)
     WHERE r.state IS NULL AND a.datid IS NULL`,
  );
  return rows[0]!.hidden === 0
    ? []
    : [
        `role ${role} may not see the lag of ${plural(rows[0]!.hidden, "physical replica")} of ${name}: GRANT pg_read_all_stats TO ${ident(role)}`,
      ];
};

/** Without the standbys that commits wait for, every commit of the move would wait for ever. */
export const synchronousStandbys: Check = async ({ source, destination, from, to }) => {
  const missing = await allEnd([missingStandbys(source, from.name), missingStandbys(destination, to.name)]);
  return missing.filter((text) => text !== null);
};

/** A forgotten prepared transaction prevents the creation of a slot; one that is minutes old counts as forgotten. */
export const preparedTransactions = async ({ source, from }: SourceContext): Promise<string[]> => {
  const { rows } = await source.query<{ gid: string; owner: string; database: string; age: number }>(
    `SELECT gid, owner, database, extract(epoch FROM clock_timestamp() - prepared)::int AS age
     FROM pg_prepared_xacts WHERE prepared < clock_timestamp() - interval '1 minute' ORDER BY prepared`,
  );
  return rows.map(
    ({ gid, owner, database, age }) =>
      `prepared transaction '${gid}' of ${owner} in database ${database} on ${from.name} is ${duration(1000 * age)} old, and no ` +
      `replication slot can be created while it is open: COMMIT PREPARED or ROLLBACK PREPARED it`,
  );
};

/** The schema has to exist on the source but not on the destination, except as a leftover of this very workflow. */
export const schemas: Check = async ({ source, destination, request, from, to, workflowId }) => {
  const [here, there] = await allEnd([
    readSchema(source, request.schema),
    readSchema(destination, request.schema),
  ]);
  return [
    ...(here.exists ? [] : [`there is no schema "${request.schema}" on ${from.name}`]),
    ...(there.exists && runOfMark(there.comment, workflowId) === null
      ? [
          `schema "${request.schema}" exists on ${to.name} already: rename or drop it${there.comment?.startsWith("shardferry") ? ` (it is a ${there.comment.replace("shardferry: ", "")}; "shardferry cleanup" drops it when its move has ended)` : ""}`,
        ]
      : []),
  ];
};

/** Refuses active replication under our names by somebody else: the same move from another Temporal namespace. */
export const foreignReplication: Check = async ({
  source,
  destination,
  request,
  workflowId,
  from,
  to,
  isOver,
}) => {
  const begin = namesBegin(workflowId, request.schema);
  // Leftovers of our own terminated runs are dropped before anything is created.
  const run = runOfMark((await readSchema(destination, request.schema)).comment, workflowId);
  const over = run !== null && (await isOver(run)) ? replicationName(workflowId, run, request.schema) : "";
  const busy = async (client: ClientBase, sql: string): Promise<boolean> =>
    (await client.query(sql, [begin, over])).rowCount !== 0;
  const taken = [
    [
      from,
      source,
      `SELECT FROM pg_replication_slots WHERE starts_with(slot_name, $1) AND slot_name <> $2 AND active AND database = current_database()`,
    ],
    [
      to,
      destination,
      `SELECT FROM pg_stat_subscription JOIN pg_subscription s ON s.oid = subid JOIN pg_database d ON d.oid = s.subdbid
       WHERE starts_with(s.subname, $1) AND s.subname <> $2 AND pid IS NOT NULL AND d.datname = current_database()`,
    ],
  ] as const satisfies readonly (readonly [Server, ClientBase, string])[];
  const found = await allEnd(taken.map(([, client, sql]) => busy(client, sql)));
  return taken
    .filter((_, i) => found[i])
    .map(
      ([server]) =>
        `replication ${begin}… is active on ${server.name}: this move is already running (see "shardferry status"), perhaps with ` +
        `another Temporal server or namespace: let it end, or abort it; or it was terminated: run "shardferry cleanup"`,
    );
};

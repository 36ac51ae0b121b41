import type { ClientBase } from "pg";

import { islandOfSession } from "./errors/origin.ts";
import { literal } from "./quote.ts";
import { DATABASE_OID } from "./server.ts";

/** A session or prepared transaction that holds a lock that we want. */
export interface Blocker {
  pid: number;
  /** Who it is, where and since when, the SQL that ends it, and its statement. */
  text: string;
  /** Who it is, where and since when. */
  who: string;
  /** Its statement, shortened; null for a prepared transaction. */
  statement: string | null;
  /** An autovacuum worker that gives way when cancelled (not one that prevents wraparound). */
  cancellable: boolean;
  /** Tells this transaction of this backend from all others; null for a prepared one. */
  transaction: string | null;
  /** False if our role may not see what kind of session it is: that takes pg_read_all_stats. */
  visible: boolean;
}

/** A blocker as a query finds it; a prepared transaction has neither user nor state. */
interface BlockerRow extends Omit<Blocker, "text" | "who"> {
  user: string | null;
  application: string | null;
  state: string | null;
  seconds: number | null;
  statement: string;
  remedy: string | null;
}

/** The transaction of a session `a`: a pid alone may soon be another session's, or have another transaction. */
const TRANSACTION =
  "concat_ws(' ', a.pid, extract(epoch FROM a.backend_start), extract(epoch FROM a.xact_start))";

/** A session `a` of pg_stat_activity. An idle one has no statement that could be cancelled. */
const SESSION = `a.pid, nullif(a.usename, '') AS user, nullif(a.application_name, '') AS application, a.state,
       extract(epoch FROM clock_timestamp() - a.xact_start)::int AS seconds, left(a.query, 1000) AS statement,
       CASE WHEN coalesce(a.backend_type, 'client backend') = 'client backend' THEN
         format('SELECT %s(%s)', CASE a.state WHEN 'active' THEN 'pg_cancel_backend' ELSE 'pg_terminate_backend' END, a.pid)
       END AS remedy, ${TRANSACTION} AS transaction, a.backend_type IS NOT NULL AS visible`;

/** A prepared transaction; which one it is, the locks do not tell. */
const PREPARED = `0 AS pid, NULL AS user, NULL AS application, NULL AS state, NULL::int AS seconds,
       'a prepared transaction (see pg_prepared_xacts)' AS statement,
       (SELECT CASE count(*) WHEN 1 THEN format('ROLLBACK PREPARED %L', min(gid)) END
        FROM pg_prepared_xacts WHERE database = current_database()) AS remedy, NULL AS transaction, true AS visible`;

/** Characters of a blocker's statement that are shown. */
const STATEMENT_LENGTH = 120;

/** The literal after PASSWORD in CREATE ROLE and the like; its end may be cut off. */
const PASSWORD = /\b(password\s+)(?:e|u&)?(?:'(?:[^'\\]|''|\\.)*'?|(\$\w*\$)[\s\S]*?(?:\2|$))/gi;

/** Writes a statement in one line without passwords, and cuts it between two words. */
function cut(sql: string): string {
  const line = sql.replace(PASSWORD, "$1'***'").trim().replace(/\s+/g, " ");
  if (line.length <= STATEMENT_LENGTH) return line;
  const head = line.slice(0, STATEMENT_LENGTH);
  return `${head.slice(0, head.lastIndexOf(" ")) || head} …`;
}

/** Puts a blocker into words. Its statement comes last: if a screen cuts something off, it is not the SQL that ends it. */
function inWords(client: ClientBase, row: BlockerRow): Blocker {
  const { pid, user, application, state, seconds, statement, remedy, cancellable, transaction, visible } =
    row;
  const island = islandOfSession(client);
  const where = island === undefined ? "" : ` on ${island}`;
  const end = remedy === null ? "" : `, ended by ${remedy}`;
  const found = { pid, cancellable, transaction, visible };
  if (pid === 0) {
    const who = `${statement}${where}`;
    return { ...found, who, statement: null, text: `${who}${end}` };
  }
  const since = state === null ? "" : `, ${state} for ${seconds ?? 0} s`;
  const name = ["pid", pid, user, application && `(${application})`].filter(Boolean).join(" ");
  const who = `${name}${where}${since}`;
  const shown = cut(statement);
  return { ...found, who, statement: shown, text: `${who}${end}: ${shown}` };
}

/** The sessions for which the backend `pid` is waiting at the moment, as seen from another session. */
export async function blockersOf(client: ClientBase, pid: number): Promise<Blocker[]> {
  const { rows } = await client.query<BlockerRow>(
    `SELECT ${SESSION},
       a.backend_type = 'autovacuum worker' AND a.query NOT LIKE '%to prevent wraparound%' AS cancellable
     FROM unnest(pg_blocking_pids($1)) AS blocking(pid)
     JOIN pg_stat_activity a USING (pid)
     UNION ALL
     SELECT ${PREPARED}, false
     FROM unnest(pg_blocking_pids($1)) AS blocking(pid) WHERE blocking.pid = 0`,
    [pid],
  );
  return rows.map((row) => inWords(client, row));
}

/** Those of some transactions that are still open; a failed one has let go of its locks. */
export async function stillOpen(client: ClientBase, transactions: readonly string[]): Promise<Blocker[]> {
  const { rows } = await client.query<BlockerRow>(
    `SELECT ${SESSION}, false AS cancellable FROM pg_stat_activity a
     WHERE ${TRANSACTION} = ANY ($1) AND a.state IS DISTINCT FROM 'idle in transaction (aborted)'`,
    [transactions],
  );
  return rows.map((row) => inWords(client, row));
}

/** How a blocker is ended: its statement is cancelled, or its session terminated. */
export type Ending = "cancel" | "terminate";

/**
 * Ends a blocker's transaction, and returns who that was. Null when it has ended meanwhile, when it has no statement that
 * could be cancelled, or when it is none of the application's own sessions: an autovacuum, a walsender, a worker of a
 * replication, or one of ours.
 */
export async function endTransaction(
  client: ClientBase,
  transaction: string,
  how: Ending,
): Promise<string | null> {
  const { rows } = await client.query<{ sent: boolean; who: string }>(
    `SELECT pg_${how}_backend(a.pid) AS sent,
       concat_ws(' ', 'pid', a.pid, nullif(a.usename, ''), '(' || nullif(a.application_name, '') || ')') AS who
     FROM pg_stat_activity a
     WHERE ${TRANSACTION} = $1 AND a.backend_type = 'client backend' AND NOT starts_with(a.application_name, 'shardferry')
       ${how === "cancel" ? "AND a.state = 'active'" : ""}`,
    [transaction],
  );
  const island = islandOfSession(client);
  return rows[0]?.sent ? `${rows[0].who}${island === undefined ? "" : ` on ${island}`}` : null;
}

/** Like `blockersOf`; an autovacuum among them is told to give way, which by itself it does only after a second. */
export async function disturbBlockersOf(client: ClientBase, pid: number): Promise<Blocker[]> {
  const blockers = await blockersOf(client, pid);
  for (const blocker of blockers)
    if (blocker.cancellable) await client.query("SELECT pg_cancel_backend($1)", [blocker.pid]);
  return blockers;
}

/**
 * A query for the other sessions that have created something in a schema, or commented on it, and have not committed yet:
 * a lock on a table does not wait for them.
 */
export const creatorsSql = (schema: string): string =>
  `SELECT l.pid FROM pg_locks l
   WHERE l.locktype = 'object' AND l.classid = 'pg_namespace'::regclass
     AND l.objid = (SELECT oid FROM pg_namespace WHERE nspname = ${literal(schema)})
     AND l.database = ${DATABASE_OID}
     AND l.pid IS DISTINCT FROM pg_backend_pid()`;

/**
 * Describes those whom `creatorsSql` has found. Their description takes another 0.8 ms to plan, with a lock held, so it is
 * read only if there are any.
 */
export async function describeCreators(
  client: ClientBase,
  found: readonly { pid?: unknown }[],
): Promise<Blocker[]> {
  if (found.length === 0) return [];
  const { rows } = await client.query<BlockerRow>(
    `WITH creators AS (SELECT unnest($1::int[]) AS pid)
     SELECT ${SESSION}, false AS cancellable FROM creators JOIN pg_stat_activity a USING (pid)
     UNION ALL
     SELECT ${PREPARED}, false FROM creators WHERE pid IS NULL`,
    [found.map(({ pid }) => pid)],
  );
  return rows.map((row) => inWords(client, row));
}

/** Some of the transactions of the whole server that have written: no slot is created before they have ended. */
export async function openWriters(client: ClientBase): Promise<Blocker[]> {
  const { rows } = await client.query<BlockerRow>(
    `SELECT ${SESSION}, false AS cancellable FROM pg_stat_activity a
     WHERE a.backend_xid IS NOT NULL AND a.pid <> pg_backend_pid()
     UNION ALL
     SELECT 0, NULL, NULL, NULL, NULL,
       concat_ws(' ', 'prepared transaction', quote_literal(gid), 'of', owner, 'in database', database, 'since', prepared),
       format('ROLLBACK PREPARED %L', gid), NULL, true, false
     FROM pg_prepared_xacts
     LIMIT 3`,
  );
  return rows.map((row) => inWords(client, row));
}

/** Returns the session that holds an advisory lock of two keys, which are given as SQL; null if there is none. */
export async function advisoryLockHolder(
  client: ClientBase,
  keys: [string, string],
): Promise<Blocker | null> {
  const [first, second] = keys.map((key) => `(${key})::bigint & 4294967295`);
  const { rows } = await client.query<BlockerRow>(
    `SELECT ${SESSION}, false AS cancellable FROM pg_locks l JOIN pg_stat_activity a USING (pid)
     WHERE l.locktype = 'advisory' AND l.granted AND l.pid <> pg_backend_pid() AND l.objsubid = 2
       AND l.database = ${DATABASE_OID} AND l.classid::bigint = ${first} AND l.objid::bigint = ${second}
     LIMIT 1`,
  );
  const [holder] = rows;
  if (!holder) return null;
  // Whoever holds such a lock is about to let go of it: to end that session is the last resort.
  const found = inWords(client, { ...holder, remedy: null });
  const resort = holder.remedy === null ? "" : ` (if it hangs: SELECT pg_terminate_backend(${holder.pid}))`;
  return { ...found, text: `${found.text}; nothing to do but wait${resort}` };
}

/** Blockers that are described one by one; some have 250 characters, and a heartbeat has to stay small. */
const DESCRIBED = 3;

/** Describes the blockers in words. */
export function describeBlockers(blockers: readonly Blocker[]): string {
  if (blockers.length === 0) return "a lock on the shard's tables";
  const texts = blockers.slice(0, DESCRIBED).map(({ text }) => text);
  if (blockers.length > DESCRIBED) texts.push(`and ${blockers.length - DESCRIBED} more`);
  return texts.join("; ");
}

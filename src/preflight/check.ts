import type { ClientBase } from "pg";

import type { DatabaseIdentity, ReplicationInput } from "../../contract/move.ts";
import type { IslandName } from "../../contract/names.ts";
import type { Islands } from "../postgres/islands/connections.ts";
import type { Table } from "../postgres/schema/tables.ts";
import { DATABASE, majorVersion, SYSTEM_IDENTIFIER, TIMELINE, VERSION_NUMBER } from "../postgres/server.ts";
import { type Locale, type LocaleColumns, localeOf } from "./locale.ts";

/** The input of every check: both islands, and the request. Checks change nothing. */
export interface CheckContext {
  kind: "move" | "copy";
  request: ReplicationInput;
  /** Null for a copy. */
  shard: number | null;
  /** True if the move may end sessions that block its switch. */
  endsBlockers?: boolean;
  /** True if the move is to leave a way back open. */
  reversible?: boolean;
  workflowId: string;
  islands: Islands;
  source: ClientBase;
  destination: ClientBase;
  from: Server;
  to: Server;
  tables: Table[];
  /** A check that takes seconds calls this from time to time, after something has worked. */
  alive: () => void;
  /** True if Temporal knows that a run of this workflow has ended. */
  isOver: (runId: string) => Promise<boolean>;
  /** PGOPTIONS for the sessions that copy rows and build indexes. */
  pgOptions: string | undefined;
}

/** One of the two servers, with the facts that several checks need. */
export interface Server {
  name: IslandName;
  /** Equal for two names of one database. */
  database: string;
  identity: DatabaseIdentity;
  version: string;
  /** 150004 for 15.4. */
  versionNumber: number;
  /** Differs between servers that may not accept the same DDL: by version, platform, or what was built in. */
  build: string;
  role: string;
  replicationRole: boolean;
  encoding: string;
  locale: Locale;
  inRecovery: boolean;
  settings: Record<string, string>;
}

/** A check returns every reason to refuse that it finds, in words that say what to change. */
export type Check = (context: CheckContext) => Promise<string[]>;

interface ServerRow {
  system: string;
  oid: string;
  database: string;
  timeline: string;
  version: string;
  number: number;
  build: string;
  role: string;
  superuser: boolean;
  replication: boolean;
  encoding: string;
  columns: LocaleColumns;
  recovery: boolean;
  settings: Record<string, string>;
}

/** Reads the facts of a server in one query. */
export async function readServer(client: ClientBase, name: IslandName): Promise<Server> {
  const { rows } = await client.query<ServerRow>(
    `SELECT
       ${SYSTEM_IDENTIFIER}::text AS system,
       d.oid::text,
       ${DATABASE} AS database,
       CASE WHEN pg_is_in_recovery() THEN '' ELSE ${TIMELINE} END AS timeline,
       current_setting('server_version') AS version,
       ${VERSION_NUMBER} AS number,
       concat_ws(' ', version(), (SELECT 'ICU' FROM pg_collation WHERE collprovider = 'i' LIMIT 1)) AS build,
       current_user AS role,
       r.rolsuper AS superuser,
       r.rolreplication AS replication,
       pg_encoding_to_char(d.encoding) AS encoding,
       to_jsonb(d) AS columns,
       pg_is_in_recovery() AS recovery,
       -- Our own sessions have others of these two.
       (SELECT json_object_agg(name, CASE WHEN name IN ('transaction_timeout', 'default_transaction_read_only')
          THEN reset_val ELSE setting END) FROM pg_settings
        WHERE name IN ('wal_level', 'max_replication_slots', 'max_wal_senders', 'max_worker_processes',
          'max_logical_replication_workers', 'max_active_replication_origins', 'default_transaction_read_only',
          'max_slot_wal_keep_size', 'idle_replication_slot_timeout', 'transaction_timeout')) AS settings
     FROM pg_database d, pg_roles r
     WHERE d.datname = current_database() AND r.rolname = current_user`,
  );
  const row = rows[0]!;
  return {
    name,
    database: row.database,
    identity: {
      systemIdentifier: row.system,
      databaseOid: row.oid,
      timeline: row.timeline,
      serverMajor: majorVersion(row.number),
      superuser: row.superuser,
    },
    version: row.version,
    versionNumber: row.number,
    build: row.build,
    role: row.role,
    replicationRole: row.superuser || row.replication,
    encoding: row.encoding,
    locale: localeOf(row.columns),
    inRecovery: row.recovery,
    settings: row.settings,
  };
}

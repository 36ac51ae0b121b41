import * as z from "zod";

import { UsageError } from "../errors.ts";
import { type Dsn, parseDsnList } from "../postgres/islands/dsn.ts";
import { findConfigFiles, loadConfigFile } from "./file.ts";
import { text, wholeNumber } from "./values.ts";

/** What every action runs with: checked once here, trusted everywhere else. */
export interface Settings {
  /** The databases as given: duplicates and replicas are still among them (see `discoverIslands`). */
  readonly dsns: readonly Dsn[];
  /** printf format of a shard's schema; undefined keeps that of an existing installation. */
  readonly schemaNameFmt: string | undefined;
  readonly migrateCmd: string | undefined;
  readonly weightSql: string | undefined;
  readonly deactivateSql: string | undefined;
  readonly parallelism: number;
  readonly maxReplicationLagSec: number;
  /** libpq options of the sessions that build indexes. */
  readonly pgOptions: string | undefined;
  /** The environment with what config files add to it. */
  readonly env: NodeJS.ProcessEnv;
  readonly configFiles: readonly string[];
}

/** Where settings come from. `options` are those of the command line, by their camel-case names. */
export interface SettingsSource {
  /** Given to config files that export a function. */
  readonly action: string;
  readonly options?: Readonly<Record<string, unknown>>;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly skipConfig?: boolean;
}

/** Settings that have an option and a variable of the environment of the same name. */
const VARIABLES = {
  schemaNameFmt: "SCHEMA_NAME_FMT",
  migrateCmd: "MIGRATE_CMD",
  weightSql: "WEIGHT_SQL",
  deactivateSql: "DEACTIVATE_SQL",
  parallelism: "PARALLELISM",
  maxReplicationLagSec: "MAX_REPLICATION_LAG_SEC",
} as const;

const schema = z.object({
  schemaNameFmt: text.optional(),
  migrateCmd: text.optional(),
  weightSql: text.optional(),
  deactivateSql: text.optional(),
  parallelism: wholeNumber(1, 1000).optional(),
  maxReplicationLagSec: wholeNumber(0, 86_400).optional(),
});

/** Moves at a time where nothing else is said: what pg-microsharding runs. */
const DEFAULT_PARALLELISM = 3;
const DEFAULT_MAX_REPLICATION_LAG_SEC = 20;

/** Reads the settings of an action and the action's own options; all problems are reported together. */
export async function loadRequest<T>(
  source: SettingsSource,
  own: z.ZodType<T>,
): Promise<{ settings: Settings; request: T }> {
  const processEnv = source.env ?? process.env;
  const configFiles = source.skipConfig ? [] : findConfigFiles(source.cwd ?? process.cwd());
  const env: NodeJS.ProcessEnv = {};
  for (const file of [...configFiles].reverse())
    Object.assign(env, await loadConfigFile(file, source.action));
  // An empty variable is an unset one, as for libpq.
  for (const [name, value] of Object.entries(processEnv)) if (value || !env[name]) env[name] = value;

  const options = source.options ?? {};
  const raw = Object.fromEntries(
    Object.entries(VARIABLES).map(([key, variable]) => [key, options[key] ?? (env[variable] || undefined)]),
  );
  const problems: string[] = [];
  const parsed = schema.safeParse(raw);
  const request = own.safeParse(options);
  for (const issue of parsed.error?.issues ?? []) problems.push(describe(issue, options, VARIABLES));
  for (const issue of request.error?.issues ?? []) problems.push(describe(issue, options, {}));
  const dsns = readDsns(options["dsns"] ?? options["dsn"], env, problems);
  if (!parsed.success || !request.success || problems.length > 0) throw new UsageError(problems.join("\n"));

  const { parallelism, maxReplicationLagSec, schemaNameFmt, migrateCmd, weightSql, deactivateSql } =
    parsed.data;
  const settings: Settings = {
    dsns,
    schemaNameFmt,
    migrateCmd,
    weightSql,
    deactivateSql,
    parallelism: parallelism ?? DEFAULT_PARALLELISM,
    maxReplicationLagSec: maxReplicationLagSec ?? DEFAULT_MAX_REPLICATION_LAG_SEC,
    pgOptions: env["PGOPTIONS"] || undefined,
    env,
    configFiles,
  };
  return { settings, request: request.data };
}

/** Reads the settings of an action that has no options of its own. */
export async function loadSettings(source: SettingsSource): Promise<Settings> {
  return (await loadRequest(source, z.unknown())).settings;
}

function readDsns(option: unknown, env: NodeJS.ProcessEnv, problems: string[]): Dsn[] {
  const [origin, list] =
    typeof option === "string" && option.trim() !== ""
      ? ["--dsns", option]
      : (["DSNS", "PGDSNS", "PGHOST"].map((name) => [name, env[name]] as const).find(([, value]) => value) ??
        []);
  if (!list) return [];
  try {
    return parseDsnList(list, env);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    problems.push(`${origin}: ${error.message}`);
    return [];
  }
}

function describe(
  issue: z.core.$ZodIssue,
  options: Readonly<Record<string, unknown>>,
  variables: Readonly<Record<string, string>>,
): string {
  const key = String(issue.path[0] ?? "");
  if (key === "") return issue.message;
  const option = `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  const name = options[key] === undefined && variables[key] ? `${variables[key]} (${option})` : option;
  return `${name}: ${issue.message}`;
}

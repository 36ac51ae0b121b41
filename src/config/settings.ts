import { UsageError } from "../errors.ts";
import { thisUser } from "../machine/this-user.ts";
import { type Dsn, parseDsnList } from "../postgres/islands/dsn.ts";
import { findConfigFiles, loadConfigFile } from "./file.ts";
import { attributeOf, flagOf, type Options, type RequestOf, type ValuesOf } from "./option.ts";
import { ISLANDS, SETTINGS } from "./options.ts";
import * as values from "./values.ts";
import { who } from "./values.ts";

/** The settings of every action: checked once here, trusted everywhere else. */
export interface Settings {
  /** The databases as given, still with duplicates and replicas (see `discoverIslands`). */
  readonly dsns: readonly Dsn[];
  /** printf format of the name of a shard's schema; undefined keeps that of an existing installation. */
  readonly schemaNameFmt: string | undefined;
  readonly migrateCmd: string | undefined;
  readonly weightSql: string | undefined;
  readonly deactivateSql: string | undefined;
  readonly parallelism: number;
  readonly maxReplicationLagSec: number;
  /** libpq options of the sessions that copy rows and build indexes. */
  readonly pgOptions: string | undefined;
  /** Who starts an operation, for the history: by default the user and the host of this process. */
  readonly startedBy: string;
  /** The environment, with the values that config files add. */
  readonly env: NodeJS.ProcessEnv;
  readonly configFiles: readonly string[];
}

/** Where settings come from. `options` are those of the command line, by their camelCase names. */
export interface SettingsSource {
  /** Passed to config files that export a function. */
  readonly action: string;
  readonly options?: Readonly<Record<string, unknown>>;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly skipConfig?: boolean;
  /** A program that acts for others can name them here. */
  readonly startedBy?: string;
}

/** Reads the settings of an action and its request; reports all problems together. */
export async function loadRequest<O extends Options>(
  source: SettingsSource,
  own: O,
): Promise<{ settings: Settings; request: RequestOf<O> }> {
  const configFiles = source.skipConfig ? [] : findConfigFiles(source.cwd ?? process.cwd());
  const env = await environment(source, configFiles);
  const options = source.options ?? {};
  const problems: string[] = [];
  const read = readOptions(SETTINGS, options, env, problems);
  const request = readOptions(requested(own), options, env, problems);
  const dsns = readDsns(options["dsns"] ?? options["dsn"], env, problems);
  const startedBy = who.safeParse(source.startedBy ?? thisUser());
  for (const { message } of startedBy.error?.issues ?? []) problems.push(`startedBy: ${message}`);
  if (problems.length > 0) throw new UsageError(problems.join("\n"));
  const { schemaNameFmt, migrateCmd, weightSql, deactivateSql, parallelism, maxReplicationLagSec } = read;
  const settings: Settings = {
    dsns,
    schemaNameFmt,
    migrateCmd,
    weightSql,
    deactivateSql,
    parallelism,
    maxReplicationLagSec,
    pgOptions: env["PGOPTIONS"] || undefined,
    startedBy: startedBy.data ?? "",
    env,
    configFiles,
  };
  return { settings, request: request as RequestOf<O> };
}

/** Reads the settings of an action that has no options of its own. */
export async function loadSettings(source: SettingsSource): Promise<Settings> {
  return (await loadRequest(source, {})).settings;
}

/** Returns the environment with the values that config files add, the nearest last. */
async function environment(
  { env: own = process.env, action }: SettingsSource,
  configFiles: readonly string[],
): Promise<NodeJS.ProcessEnv> {
  const env: NodeJS.ProcessEnv = {};
  for (const file of [...configFiles].reverse()) Object.assign(env, await loadConfigFile(file, action));
  // An empty variable counts as unset, as in libpq.
  for (const [name, value] of Object.entries(own)) if (value || !env[name]) env[name] = value;
  return env;
}

const requested = (options: Options): Options =>
  Object.fromEntries(Object.entries(options).filter(([, { setting }]) => !setting));

/** Reads each option from the command line or else from the environment, or else takes its default. */
function readOptions<O extends Options>(
  options: O,
  given: Readonly<Record<string, unknown>>,
  env: NodeJS.ProcessEnv,
  problems: string[],
): ValuesOf<O> {
  const found: Record<string, unknown> = {};
  for (const [key, option] of Object.entries(options)) {
    const variable = option.variables?.find((name) => env[name]);
    const own = given[attributeOf(option)];
    const raw = own ?? (variable && env[variable]);
    if (raw === undefined && !option.needed) {
      found[key] = option.fallback;
      continue;
    }
    const parsed = option.read(values).safeParse(raw);
    if (parsed.success) found[key] = parsed.data;
    const name = own === undefined && variable ? `${variable} (${flagOf(option)})` : flagOf(option);
    for (const { message } of parsed.error?.issues ?? []) problems.push(`${name}: ${message}`);
  }
  return found as ValuesOf<O>;
}

function readDsns(option: unknown, env: NodeJS.ProcessEnv, problems: string[]): Dsn[] {
  const [origin, list] =
    typeof option === "string" && option.trim() !== ""
      ? ["--dsns", option]
      : (ISLANDS.dsns.variables.map((name) => [name, env[name]] as const).find(([, value]) => value) ?? []);
  if (!list) return [];
  try {
    return parseDsnList(list, env);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    problems.push(`${origin}: ${error.message}`);
    return [];
  }
}

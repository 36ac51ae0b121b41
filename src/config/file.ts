import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, extname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

import { messageOf, UsageError } from "../errors.ts";
import { LIBPQ_VARIABLES } from "../postgres/islands/libpq-keywords.ts";
import { maskPassword } from "../postgres/islands/redact.ts";
import { closest } from "./closest.ts";
import type { Option } from "./option.ts";
import { ISLANDS, SETTINGS } from "./options.ts";

const NAMES = ["shardferry.config", "pg-microsharding.config"];
const EXTENSIONS = [".ts", ".mts", ".cts", ".js", ".mjs", ".cjs", ".json"];
const CANDIDATES = NAMES.flatMap((name) => EXTENSIONS.map((extension) => name + extension));

/** What a config file can set. */
const SETTING_NAMES: readonly string[] = [
  ...Object.values<Option>({ ...ISLANDS, ...SETTINGS }).flatMap(({ variables = [] }) => variables),
  ...["SHARDFERRY_STATE_DIR", "SHARDFERRY_SHARDS"],
  ...LIBPQ_VARIABLES,
  ...["ADDRESS", "NAMESPACE", "API_KEY", "TLS", "PROFILE", "CONFIG_FILE", "UI_URL"].map(
    (name) => `TEMPORAL_${name}`,
  ),
];
/** What is read before there is a config file, or by other processes. */
const ENVIRONMENT_ONLY = ["PG_BIN", "SHARDFERRY_TEMPORAL", "SHARDFERRY_DEMO_SCALE", "SHARDFERRY_CACHE"];

/** The values of a config file: settings by their environment names. */
export type ConfigValues = Record<string, string>;

/** Finds the config files of a folder and of its parents, nearest first; at most one per folder. */
export function findConfigFiles(cwd: string): string[] {
  const folder = resolve(cwd);
  const above = dirname(folder) === folder ? [] : findConfigFiles(dirname(folder));
  const file = CANDIDATES.map((name) => join(folder, name)).find((path) => existsSync(path));
  return file === undefined ? above : [file, ...above];
}

/**
 * Loads a config file. It exports settings by their environment names: as an object, or as a function or async function
 * that takes the action's name and returns such an object.
 */
export async function loadConfigFile(path: string, action: string): Promise<ConfigValues> {
  try {
    let exported = await load(path);
    if (typeof exported === "function") exported = await (exported as (action: string) => unknown)(action);
    const values = configValues(exported);
    const mistaken = Object.keys(values).flatMap((name) => mistakeIn(name) ?? []);
    if (mistaken.length > 0) throw new Error(mistaken.join("; "));
    return values;
  } catch (cause) {
    const message = maskPassword(messageOf(cause));
    throw new UsageError(`Config file ${path}: ${message} (--skip-config ignores it)`, { cause });
  }
}

/**
 * Says what is wrong with a name, if it is nearly that of a setting. Other names are allowed: they are variables for the
 * commands of --migrate-cmd.
 */
function mistakeIn(name: string): string | null {
  if (SETTING_NAMES.includes(name)) return null;
  if (ENVIRONMENT_ONLY.includes(name)) return `${name} is read from the environment only: set it there`;
  // An option in camelCase, or as it is on the command line, is meant as the variable.
  const spelled = name
    .replace(/([a-z])([A-Z])/g, "$1_$2")
    .replace(/^-+/, "")
    .replaceAll("-", "_")
    .toUpperCase();
  const meant = closest(spelled, SETTING_NAMES);
  return meant === null ? null : `there is no setting ${name}; did you mean ${meant}?`;
}

async function load(path: string): Promise<unknown> {
  const extension = extname(path);
  if (extension === ".json") return parseJson(await readFile(path, "utf8"));
  if (!/ts$/.test(extension)) return defaultExport(await import(pathToFileURL(path).href));
  const { createJiti } = await import("jiti");
  return defaultExport(await createJiti(import.meta.url).import(path));
}

/** The default export of transpiled CommonJS is one level deeper. */
function defaultExport(module: unknown): unknown {
  let value = module;
  while (typeof value === "object" && value !== null && "default" in value) value = value.default;
  return value;
}

function configValues(exported: unknown): ConfigValues {
  if (typeof exported !== "object" || exported === null || Array.isArray(exported)) {
    throw new Error("it must export an object with settings, or a function that returns one");
  }
  const values: ConfigValues = {};
  for (const [name, value] of Object.entries(exported)) {
    const text = configText(value);
    if (text === undefined)
      throw new Error(`the value of ${name} is neither a string nor a number nor a list of strings`);
    if (text !== null) values[name] = text;
  }
  return values;
}

/** Returns a value as text; null if it is missing, undefined if it cannot be a setting. */
function configText(value: unknown): string | null | undefined {
  if (value === undefined || value === null) return null;
  if (Array.isArray(value))
    return value.every((item) => typeof item === "string") ? value.join(",") : undefined;
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean")
    return String(value);
  return undefined;
}

/** Replaces V8's message, which quotes the text around a mistake and so may show a password. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    const position = /position \d+(?: \(line \d+ column \d+\))?/.exec((error as Error).message)?.[0];
    throw new Error(`it is not valid JSON${position ? ` (at ${position})` : ""}`);
  }
}

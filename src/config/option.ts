import type * as z from "zod";

import type * as values from "./values.ts";

/** The parsers of values; zod is loaded only when something is parsed, so that the help appears at once. */
type Values = typeof values;

/** The definition of an option of the command line. */
export interface Option<T = unknown> {
  /** With the name of its value, in commander's syntax: `--shard <n>`, `--wait [yes|no]`, `--json`. */
  readonly flag: string;
  /** Without the default, which the help adds. */
  readonly help: string;
  /** Returns the parser of its value. */
  read(values: Values): z.ZodType<T>;
  /** The default. */
  readonly fallback?: T;
  /** The default in words, if it is determined later. */
  readonly otherwise?: string;
  /** Environment variables that set it as well; the first one that is set counts. */
  readonly variables?: readonly string[];
  /** True if it is part of `Settings` instead of a request. */
  readonly setting?: boolean;
  /** True if it is required. */
  readonly needed?: boolean;
}

/** Options, keyed by the names of their values in a request. */
export type Options = Readonly<Record<string, Option>>;

type Rest<T> = Omit<Partial<Option<T>>, "flag" | "help" | "read">;

/** Defines an option. */
export function option<T, const R extends Rest<T> = object>(
  flag: string,
  help: string,
  read: (values: Values) => z.ZodType<T>,
  rest: R = {} as R,
): Option<T> & R {
  return { flag, help, read, ...rest };
}

/** Returns the same option, required. */
export const needed = <O extends Option>(one: O): O & { needed: true } => ({ ...one, needed: true });

type Optional<O> = { [K in keyof O]: Omit<O[K], "needed"> };

/** Returns the same options, none of them required. */
export const optional = <O extends Options>(options: O): Optional<O> =>
  Object.fromEntries(
    Object.entries(options).map(([key, one]) => [key, { ...one, needed: false }]),
  ) as unknown as Optional<O>;

type Value<O> = O extends { read(values: never): z.ZodType<infer T> } ? T : never;
type Requested<O> = { [K in keyof O as O[K] extends { setting: true } ? never : K]: O[K] };
type Certain<O> = {
  [K in keyof O as O[K] extends { needed: true } | { fallback: NonNullable<unknown> } ? K : never]: Value<
    O[K]
  >;
};
type Uncertain<O> = {
  [K in keyof O as O[K] extends { needed: true } | { fallback: NonNullable<unknown> } ? never : K]?:
    Value<O[K]> | undefined;
};

/** The parsed values of all options. */
export type ValuesOf<O> = Certain<O> & Uncertain<O>;

/** The request to an action: the values of its options without the settings. */
export type RequestOf<O> = ValuesOf<Requested<O>>;

/** `--copy-method` of `--copy-method <method>`. */
export const flagOf = ({ flag }: Option): string => flag.split(" ")[0]!;

/** The name under which commander stores the value of an option. */
export const attributeOf = (one: Option): string =>
  flagOf(one)
    .slice(2)
    .replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());

/** Returns the help with the variables and the default: `… (PARALLELISM; default 3)`. */
export function helpOf(one: Option): string {
  const notes = [...(one.variables ? [one.variables.join(", ")] : []), ...defaultNote(one)];
  return notes.length === 0 ? one.help : `${one.help} (${notes.join("; ")})`;
}

function defaultNote({ otherwise, fallback, needed: must }: Option): string[] {
  if (must) return [];
  if (otherwise !== undefined)
    return [otherwise.includes(" ") ? `default: ${otherwise}` : `default ${otherwise}`];
  // A switch is off by default.
  if (fallback === undefined || fallback === false) return [];
  return [`default ${fallback === true ? "yes" : (fallback as string | number)}`];
}

import type * as z from "zod";

import type * as values from "./values.ts";

/** The readers of values; zod is loaded only when something is parsed, so that the help is there at once. */
type Values = typeof values;

/** An option of the command line, and all that is known of it. */
export interface Option<T = unknown> {
  /** With its value's name, as commander takes it: `--shard <n>`, `--wait [yes|no]`, `--json`. */
  readonly flag: string;
  /** Without the default, which the help adds. */
  readonly help: string;
  /** What parses its value. */
  read(values: Values): z.ZodType<T>;
  /** What holds where nothing is given. */
  readonly fallback?: T;
  /** The same in words, where it is found out later. */
  readonly otherwise?: string;
  /** Variables of the environment that give it as well; the first that is set counts. */
  readonly variables?: readonly string[];
  /** True for one that is part of `Settings` instead of a request. */
  readonly setting?: boolean;
  /** True for one that has to be given. */
  readonly needed?: boolean;
}

/** Options by the names that their values have in a request. */
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

/** The same option where it has to be given. */
export const needed = <O extends Option>(one: O): O & { needed: true } => ({ ...one, needed: true });

type Optional<O> = { [K in keyof O]: Omit<O[K], "needed"> };

/** The same options where none has to be given. */
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

/** The values of all options, checked. */
export type ValuesOf<O> = Certain<O> & Uncertain<O>;

/** What an action is asked for by its options, settings apart. */
export type RequestOf<O> = ValuesOf<Requested<O>>;

/** `--copy-method` of `--copy-method <method>`. */
export const flagOf = ({ flag }: Option): string => flag.split(" ")[0]!;

/** The name under which commander has the value of an option. */
export const attributeOf = (one: Option): string =>
  flagOf(one)
    .slice(2)
    .replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());

/** The help with the variables and the default: `… (PARALLELISM; default 3)`. */
export function helpOf(one: Option): string {
  const notes = [...(one.variables ? [one.variables.join(", ")] : []), ...defaultNote(one)];
  return notes.length === 0 ? one.help : `${one.help} (${notes.join("; ")})`;
}

function defaultNote({ otherwise, fallback, needed: must }: Option): string[] {
  if (must) return [];
  if (otherwise !== undefined)
    return [otherwise.includes(" ") ? `default: ${otherwise}` : `default ${otherwise}`];
  // A switch that nobody gives is off.
  if (fallback === undefined || fallback === false) return [];
  return [`default ${fallback === true ? "yes" : (fallback as string | number)}`];
}

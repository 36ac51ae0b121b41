import * as z from "zod";

const YES = ["yes", "true", "1", "on", "y"];
const NO = ["no", "false", "0", "off", "n"];

/** Reads `yes|no|true|false|1|0|on|off`; returns undefined for anything else. */
export function yesOrNo(text: unknown): boolean | undefined {
  const word = String(text).trim().toLowerCase();
  return YES.includes(word) ? true : NO.includes(word) ? false : undefined;
}

/** `yes` or `no`, in any of the usual words. */
export const yesNo = z.unknown().transform((value, context): boolean => {
  const answer = typeof value === "boolean" ? value : yesOrNo(value);
  if (answer === undefined)
    context.addIssue(value === undefined ? "give yes or no" : `"${show(value)}" is not yes or no`);
  return answer ?? false;
});

/** A whole number in a range, as text or as a number. */
export const wholeNumber = (min: number, max = Number.MAX_SAFE_INTEGER): z.ZodType<number> =>
  z.unknown().transform((value, context): number => {
    const number = /^[+-]?\d+$/.test(String(value).trim()) ? Number(value) : Number.NaN;
    if (!Number.isSafeInteger(number) || number < min || number > max) {
      const range = max === Number.MAX_SAFE_INTEGER ? `of ${min} or more` : `from ${min} to ${max}`;
      const problem = `a whole number ${range}`;
      context.addIssue(value === undefined ? `give ${problem}` : `"${show(value)}" is not ${problem}`);
    }
    return number;
  });

const SIZES = ["", "K", "M", "G", "T", "P"];

/** `1000`, `500 MB`, `1.5GiB`: bytes, in powers of 1024 as in PostgreSQL. */
export const byteCount = z.unknown().transform((value, context): number => {
  const [, number, size] = /^\s*(\d+(?:\.\d+)?)\s*([KMGTP]?)(?:i?B|bytes)?\s*$/i.exec(String(value)) ?? [];
  if (number === undefined) context.addIssue(`"${show(value)}" is not a size such as 500MB or 1.5GB`);
  return Math.round(Number(number ?? 0) * 1024 ** SIZES.indexOf((size ?? "").toUpperCase()));
});

export const verifyMode = z.enum(["full", "none"], { error: "must be full or none" });

/** How rows are copied. */
export const copyMethod = z.enum(["auto", "tablesync", "direct"], {
  error: "must be auto, tablesync or direct",
});

/** How sequences get values that no other shard has. */
export const sequenceMode = z.enum(["interleave", "range"], { error: "give interleave or range" });

/** How a migration processes its shards. */
export const migrateMode = z.enum(["all", "each"], { error: "must be all or each" });

export const logFormat = z.enum(["text", "json"], { error: "must be text or json" });

/** `127.0.0.1:8080`; port 0 is any free one. */
export const listenAddress = z.unknown().transform((value, context): { host: string; port: number } => {
  const [, host, port] = /^\[?([^\]]+?)\]?:(\d{1,5})$/.exec(String(value)) ?? [];
  if (host === undefined || Number(port) > 65_535)
    context.addIssue(`"${show(value)}" is not an address such as 127.0.0.1:8080`);
  return { host: host ?? "", port: Number(port) };
});

/** Text that is not blank. */
export const text = z.unknown().transform((value, context): string => {
  const given = typeof value === "string" || typeof value === "number" ? String(value) : "";
  if (given.trim() === "") context.addIssue("give a value");
  return given;
});

/** Who has started something: one line. */
export const who = z
  .string()
  .max(200, { error: "must have at most 200 characters" })
  .regex(/^\P{Cc}+$/u, { error: "must be one line of text" });

/** How a factor changes. */
export interface FactorChange {
  readonly operator: "=" | "+" | "-" | "*";
  /** A decimal number, as text so that it stays exact. */
  readonly operand: string;
}

/** `P`, `+P`, `-P` or `*P`. */
export const factorChange = text.transform((value, context): FactorChange => {
  const [, operator, operand] = /^\s*([+*=-]?)\s*(\d+(?:\.\d+)?|\.\d+)\s*$/.exec(value) ?? [];
  if (operand === undefined) context.addIssue(`"${value}" is not P, +P, -P or "*P" with a number P`);
  return { operator: (operator || "=") as FactorChange["operator"], operand: operand ?? "1" };
});

const MINUTES: Readonly<Record<string, number>> = { m: 1, h: 60, d: 24 * 60, w: 7 * 24 * 60 };

/** `30m`, `12h`, `7d` or `2w`, in milliseconds. */
export const timeSpan = z.unknown().transform((value, context): number => {
  const [, number, unit] = /^\s*(\d+(?:\.\d+)?)\s*([mhdw])\s*$/.exec(String(value)) ?? [];
  if (unit === undefined) context.addIssue(`"${show(value)}" is not a time such as 30m, 12h, 7d or 2w`);
  return Number(number) * (MINUTES[unit ?? "m"] ?? 1) * 60_000;
});

const STAY: Readonly<Record<string, number>> = { s: 1, m: 60, min: 60, h: 3600, d: 86_400, w: 604_800 };

/** For how long a way back is kept open: `90s`, `30m`, `12h`, `7d`, in milliseconds; a day if it is just wanted, 0 if not. */
export const stay = z.unknown().transform((value, context): number => {
  const wanted = typeof value === "boolean" ? value : yesOrNo(value);
  if (wanted !== undefined) return wanted ? 24 * 3600 * 1000 : 0;
  const [, number, unit] = /^\s*(\d+(?:\.\d+)?)\s*(s|min|m|h|d|w)\s*$/.exec(String(value)) ?? [];
  const ms = Math.round(Number(number) * (STAY[unit ?? "s"] ?? 1) * 1000);
  if (unit === undefined || ms <= 0)
    context.addIssue(`"${show(value)}" is not a time such as 90s, 30m, 12h or 7d`);
  return ms || 0;
});

const PATIENCE: Readonly<Record<string, number>> = { s: 1, min: 60, m: 60, h: 3600 };

/** `30s`, `5min` or `1h`, in milliseconds; `zero` says what to do instead of giving none. */
const timeAboveZero = (zero: string) =>
  z.unknown().transform((value, context): number => {
    const [, number, unit] = /^\s*(\d+(?:\.\d+)?)\s*(s|min|m|h)\s*$/.exec(String(value)) ?? [];
    if (unit === undefined) context.addIssue(`"${show(value)}" is not a time such as 30s, 5min or 1h`);
    else if (Number(number) === 0) context.addIssue(zero);
    return Math.round(Number(number) * (PATIENCE[unit ?? "s"] ?? 1) * 1000);
  });

/** How long to bear with a session that blocks a switch. */
export const patience = timeAboveZero("give more than 0; without this option, nothing is ended");

/** How long to measure. */
export const measuringTime = timeAboveZero("give more than 0, for example 10s");

/** Shard numbers go up to what the reference's SQL function names. */
export const shardNumber = wholeNumber(0, 2_147_483_647);

/** A larger range is a typo. */
const MOST_SHARDS = 100_000;

/** A range of shard numbers. */
export interface ShardRange {
  first: number;
  last: number;
}

/** `N` or `N-M`, both inclusive. */
export const shardRange = z.unknown().transform((value, context): ShardRange => {
  const match = /^\s*(\d+)\s*(?:-\s*(\d+)\s*)?$/.exec(String(value));
  const first = Number(match?.[1]);
  const last = Number(match?.[2] ?? match?.[1]);
  if (!match) context.addIssue(value === undefined ? "give N or N-M" : `"${show(value)}" is not N or N-M`);
  else if (first > last) context.addIssue(`the range ${first}-${last} runs backwards`);
  else if (last - first >= MOST_SHARDS) context.addIssue(`more than ${MOST_SHARDS} shards`);
  return { first, last };
});

/** `N,M-L,…`: numbers and ranges of shards. */
export const shardNumbers = z.unknown().transform((value, context): [first: number, last: number][] => {
  const ranges = String(value)
    .split(",")
    .map((part) => /^\s*(\d+)\s*(?:-\s*(\d+)\s*)?$/.exec(part))
    .map((match) => [Number(match?.[1]), Number(match?.[2] ?? match?.[1])] as [number, number]);
  if (ranges.some(([first]) => Number.isNaN(first)))
    context.addIssue(`"${show(value)}" is not a list of numbers and ranges, such as 1,4-7`);
  const backwards = ranges.find(([first, last]) => first > last);
  if (backwards) context.addIssue(`the range ${backwards.join("-")} runs backwards`);
  return ranges;
});

/** The same as a list in which each number occurs once. */
export const shardList = shardNumbers.transform((ranges, context): number[] => {
  const count = ranges.reduce((sum, [first, last]) => sum + Math.max(0, last - first + 1), 0);
  // The problem of an invalid range has been reported already.
  if (!(count <= MOST_SHARDS)) {
    context.addIssue(`more than ${MOST_SHARDS} shards`);
    return [];
  }
  const numbers = ranges.flatMap(([first, last]) =>
    Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i),
  );
  return [...new Set(numbers)];
});

function show(value: unknown): string {
  const shown = typeof value === "string" ? value : JSON.stringify(value);
  return shown.length > 60 ? `${shown.slice(0, 60)}…` : shown;
}

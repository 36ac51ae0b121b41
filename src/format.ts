import prettyBytes from "pretty-bytes";

import type { InTheWay, WriteBlock } from "../contract/progress.ts";

/** Formats an integer as `1,234,567`. By hand, because loading the locales for it took 17 ms. */
export const count = (number: number): string => String(number).replace(/\B(?=(\d{3})+$)/g, ",");

/** `1 shard`, `1,234 shards`. */
export const plural = (number: number, one: string, many = `${one}s`): string =>
  `${count(number)} ${number === 1 ? one : many}`;

/** Shortens a statement for the history and the screen, which have no use for long lists of tables. */
export const shorten = (sql: string, length = 400): string =>
  sql.length <= length ? sql : `${sql.slice(0, length)}… (${sql.length} characters)`;

/** `12.3 MiB`: three digits, in powers of 1024. */
export const bytes = (count: number): string => prettyBytes(count, { binary: true });

/** `0.25 s`, `12.3 s`, `4 min 5 s`, `2 h 3 min`. */
export function duration(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  if (seconds < 10) return `${seconds.toFixed(2)} s`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** What `writers were blocked for`: `9 ms`, or of several attempts the sum, their number and the longest. */
export function blockedFor({ attempts, longestMs, totalMs, atMost }: WriteBlock): string {
  const total = `${atMost ? "at most " : ""}${count(Math.ceil(totalMs))} ms`;
  return attempts > 1
    ? `${total} in all by ${count(attempts)} attempts, ${count(Math.ceil(longestMs))} ms at the longest`
    : total;
}

/** `in the way: pid 7 app on host1/app, active for 3 s: UPDATE …`; nothing if nobody was. */
export const wereInTheWay = (blockers: readonly InTheWay[]): string[] =>
  blockers.length === 0
    ? []
    : [
        `in the way: ${blockers.map(({ who, statement }) => (statement === null ? who : `${who}: ${statement}`)).join("; ")}`,
      ];

/** `the source keeps 1.2 GiB of WAL`. */
export const walKept = (count: number): string => `the source keeps ${bytes(count)} of WAL`;

/** `0.3%`, `7.1%`, `42%`: what is done, which is never 100% before the end. */
export const percentDone = (percent: number): string =>
  `${percent < 10 ? Number(percent.toFixed(1)) : Math.floor(percent)}%`;

/** How long ago: `5 min`, `3 h`, `12 d`. */
export function age(milliseconds: number): string {
  const minutes = Math.max(0, milliseconds) / 60_000;
  if (minutes < 120) return `${Math.floor(minutes)} min`;
  return minutes < 48 * 60 ? `${Math.floor(minutes / 60)} h` : `${Math.floor(minutes / 60 / 24)} d`;
}

/** A weight with its unit; bytes are shown in a readable multiple. */
export const weight = (value: number, unit: string): string =>
  unit === "B" ? bytes(value) : `${Number(value.toFixed(3))}${unit ? ` ${unit}` : ""}`;

/** `12.3%`. */
export const percent = (share: number): string => `${(100 * share).toFixed(1)}%`;

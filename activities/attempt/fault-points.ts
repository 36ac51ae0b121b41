import type { HistoryActivities } from "../../contract/history.ts";
import type { MigrateActivities } from "../../contract/migrate.ts";
import type { Activities } from "../../contract/move.ts";
import type { VerifyActivities } from "../../contract/verify.ts";
import type { WayBackActivities } from "../../contract/way-back.ts";

/**
 * What a switch does from its lock to its end. The first two are done at once, and so are the three before the commits.
 * Tests kill the worker before and after each.
 */
export const SWITCH_STATEMENTS = [
  "lock",
  "begin destination",
  "copy",
  "complete destination",
  "set sequences",
  "leave source",
  "commit source",
  "commit destination",
] as const;

export type SwitchStatement = (typeof SWITCH_STATEMENTS)[number];

/** Where tests kill a worker that is having tables of a tablesync copied again. */
export const COPY_ANEW_POINTS = ["after unpublish", "before truncate", "after publish again"] as const;

/** What a migration does on one island after the other. */
export const MIGRATION_STATEMENTS = ["prepare", "commit"] as const;

export type StepName =
  | keyof Activities
  | keyof MigrateActivities
  | keyof VerifyActivities
  | keyof HistoryActivities
  | keyof WayBackActivities;

/** The places at which tests kill, freeze or hold a worker. */
export type FaultPoint =
  | `${"before" | "after" | "failed"} ${StepName}`
  | `${"before" | "after"} ${SwitchStatement | "execute"}`
  | `${"before" | "after"} ${(typeof MIGRATION_STATEMENTS)[number] | "statement"} ${number}`
  | `before range ${number}`
  | (typeof COPY_ANEW_POINTS)[number];

/** The points before and after something. */
export const around = <T extends string>(name: T): [`before ${T}`, `after ${T}`] => [
  `before ${name}`,
  `after ${name}`,
];

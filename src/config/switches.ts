import type { MoveSwitches, ReplicationSwitches } from "../../contract/move.ts";
import type { Option } from "./option.ts";
import { MOVE_SWITCHES, REPLICATION_SWITCHES } from "./options.ts";
import type { Settings } from "./settings.ts";

/** Switches of a request; what is missing comes from the settings, else it has the default of the command line. */
type Requested<T> = { [K in Exclude<keyof T, keyof Settings>]?: T[K] | undefined };
export type ReplicationRequest = Requested<ReplicationSwitches>;
export type MoveSwitchesRequest = Requested<MoveSwitches>;

type Given<T> = { readonly [K in keyof T & keyof Settings]?: Settings[K] };

/** The switches of a move: everything but what is moved from where to where. */
export const moveSwitches = (settings: Given<MoveSwitches>, request: MoveSwitchesRequest): MoveSwitches =>
  resolve<MoveSwitches>(MOVE_SWITCHES, settings, request);

/** The switches of a copy. */
export const replicationSwitches = (
  settings: Given<ReplicationSwitches>,
  request: ReplicationRequest,
): ReplicationSwitches => resolve<ReplicationSwitches>(REPLICATION_SWITCHES, settings, request);

/** Reads the switches of a table, and no other properties that the request may have. */
function resolve<T>(table: { [K in keyof T]: Option }, settings: object, request: object): T {
  const given: Readonly<Record<string, unknown>> = { ...request, ...settings };
  return Object.fromEntries(
    Object.entries<Option>(table).map(([key, { fallback }]) => [key, given[key] ?? fallback ?? null]),
  ) as T;
}

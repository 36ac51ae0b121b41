import type { MoveSwitches, ReplicationSwitches } from "../../contract/move.ts";
import type { Option } from "./option.ts";
import { MOVE_SWITCHES, REPLICATION_SWITCHES } from "./options.ts";
import type { Settings } from "./settings.ts";

/** Switches of a request; a missing one comes from the settings, or has the default of the command line. */
type Requested<T> = { [K in Exclude<keyof T, keyof Settings>]?: T[K] | undefined };
export type ReplicationRequest = Requested<ReplicationSwitches>;
export type MoveSwitchesRequest = Requested<MoveSwitches>;

type Given<T> = { readonly [K in keyof T & keyof Settings]?: Settings[K] };

/** Returns the switches of a move: everything but the schema, the source and the destination. */
export const moveSwitches = (settings: Given<MoveSwitches>, request: MoveSwitchesRequest): MoveSwitches =>
  resolve<MoveSwitches>(MOVE_SWITCHES, settings, request);

/** Returns the switches of a copy. */
export const replicationSwitches = (
  settings: Given<ReplicationSwitches>,
  request: ReplicationRequest,
): ReplicationSwitches => resolve<ReplicationSwitches>(REPLICATION_SWITCHES, settings, request);

/** Reads the switches in a table of options, and ignores any other properties of the request. */
function resolve<T>(table: { [K in keyof T]: Option }, settings: object, request: object): T {
  const given: Readonly<Record<string, unknown>> = { ...request, ...settings };
  return Object.fromEntries(
    Object.entries<Option>(table).map(([key, { fallback }]) => [key, given[key] ?? fallback ?? null]),
  ) as T;
}

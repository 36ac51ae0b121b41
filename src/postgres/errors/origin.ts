import type { ClientBase } from "pg";

import type { IslandName } from "../../../contract/names.ts";

const failedOn = new WeakMap<Error, IslandName>();
const islands = new WeakMap<ClientBase, IslandName>();

/** Remembers on which island an error occurred, since node-postgres does not say. */
export function onIsland<E extends Error>(name: IslandName, error: E): E {
  if (!failedOn.has(error)) failedOn.set(error, name);
  return error;
}

/** Remembers to which island a session belongs, for code that works with several. */
export const noteIsland = (client: ClientBase, name: IslandName): unknown => islands.set(client, name);

/** Returns the island to which a session of Islands belongs. */
export const islandOfSession = (client: ClientBase): IslandName | undefined => islands.get(client);

/** Remembers in which session an error occurred. */
export function inSession<E extends Error>(client: ClientBase, error: E): E {
  const name = islandOfSession(client);
  return name === undefined ? error : onIsland(name, error);
}

/** The island on which an error occurred, if it occurred in a session of Islands. */
export const islandOf = (error: unknown): IslandName | undefined =>
  error instanceof Error ? failedOn.get(error) : undefined;

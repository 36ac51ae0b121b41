/** The largest number of lanes that copy or build at the same time; each may use parallel workers of its own. */
const MAX_LANES = 4;
/** Bytes that are worth a lane of their own: opening a pair of connections costs about 10 ms. */
const BYTES_PER_LANE = 16 << 20;

/** How many lanes are worth their sessions for tables of a given size, or for the indexes on them. */
export const lanesFor = (items: number, bytes: number): number =>
  Math.max(1, Math.min(MAX_LANES, items, Math.ceil(bytes / BYTES_PER_LANE)));

/**
 * Processes items in several lanes, each with a session of its own, that take the next item whenever they are free.
 * After the first failure, the other lanes finish their current item, and then that failure is thrown.
 */
export async function inLanes<Item>(
  lanes: number,
  items: Iterable<Item>,
  lane: (queue: Iterable<Item>) => Promise<void>,
): Promise<void> {
  const queue = (function* () {
    yield* items;
  })();
  let failure: Error | undefined;
  const note = (error: Error): void => {
    failure ??= error;
    queue.return();
  };
  await Promise.all(Array.from({ length: lanes }, () => lane(queue).catch(note)));
  if (failure) throw failure;
}

/** The results of several pieces of work, in their order. */
type Results<Work extends readonly Promise<unknown>[]> = { -readonly [K in keyof Work]: Awaited<Work[K]> };

/**
 * Waits until all have ended, also when one fails: what is left of a failed attempt must not run into the next one,
 * which uses the same sessions. Then throws the most telling failure: the one with the lowest rank, of equal ones the first.
 */
export async function allEnd<const Work extends readonly Promise<unknown>[]>(
  work: Work,
  rank: (error: unknown) => number = () => 0,
): Promise<Results<Work>> {
  const outcomes = await Promise.allSettled(work);
  const failures = outcomes.flatMap((one) => (one.status === "rejected" ? [one.reason as Error] : []));
  if (failures.length > 0) throw failures.sort((a, b) => rank(a) - rank(b))[0]!;
  return Promise.all(work);
}

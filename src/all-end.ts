/** The results of several pieces of work, in their order. */
type Results<Work extends readonly Promise<unknown>[]> = { -readonly [K in keyof Work]: Awaited<Work[K]> };

/**
 * Waits until all have ended, even if one fails: what is left of a failed attempt must not interfere with the next one,
 * which uses the same sessions. Then throws the most informative failure: the first of those with the lowest rank.
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

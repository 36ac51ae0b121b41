import { allEnd } from "../../../src/all-end.ts";
import { POSITION_SQL, untilReached } from "../../../src/postgres/replication/position.ts";
import { missingStandbys } from "../../../src/postgres/replication/standbys.ts";
import { rowsOfEach } from "../../../src/postgres/session.ts";
import { POLL_MS } from "../../attempt/poll.ts";
import { whileBehind } from "../parts/caught-up.ts";
import { publishedCheck } from "../parts/guards.ts";
import { refreshViews } from "../parts/refresh-views.ts";
import { ensureReady } from "./lock.ts";
import type { SwitchSessions } from "./sessions.ts";

/**
 * Brings the destination close before the lock, so that the rest under the lock takes only milliseconds. Materialized views
 * come first: while one is being refreshed, the destination may fall behind again.
 */
export async function catchUp(sessions: SwitchSessions): Promise<void> {
  const { step, facts, views } = sessions;
  if (facts.views.length > 0)
    await refreshViews(step, views, sessions.sourceObserver, sessions.destinationObserver);
  await step.attempt.reading(step.from, () =>
    allEnd([ensureReady(sessions), untilStandbysAreThere(sessions)]),
  );
  await untilReached(
    sessions.destinationObserver,
    step.replicationName,
    () => ensurePublishedAt(sessions),
    whileBehind(step),
  );
}

/** A commit that waits for a standby keeps its locks meanwhile, so the standbys have to be there before. */
async function untilStandbysAreThere(sessions: SwitchSessions): Promise<void> {
  const { step, sourceWatcher, destinationObserver } = sessions;
  for (;;) {
    const missing = await allEnd([
      missingStandbys(sourceWatcher, step.from),
      missingStandbys(destinationObserver, step.to),
    ]);
    const waitingFor = missing.filter((text) => text !== null).join("; ");
    if (waitingFor === "") return;
    step.attempt.beat({ waitingFor });
    await step.attempt.pause(POLL_MS);
  }
}

/** Returns a position of the source, after making sure that all tables are published there. */
async function ensurePublishedAt({ step, facts, sourceObserver }: SwitchSessions): Promise<string> {
  const published = publishedCheck(step, facts);
  const [unpublished, [row]] = (await rowsOfEach(sourceObserver, [published.sql, POSITION_SQL])) as [
    Record<string, unknown>[],
    [{ lsn: string }],
  ];
  published.verify(unpublished);
  return row.lsn;
}

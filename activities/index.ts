import type { HistoryActivities } from "../contract/history.ts";
import type { ChangeInput, MigrateActivities } from "../contract/migrate.ts";
import type { Activities, StepInput } from "../contract/move.ts";
import type { VerifyActivities } from "../contract/verify.ts";
import type { WayBackActivities } from "../contract/way-back.ts";
import { ActivityAttempt, type Deps } from "./attempt/attempt.ts";
import { outlookOf, recognizable, type Retried, toFailure, untilDone } from "./attempt/failures.ts";
import type { StepName } from "./attempt/fault-points.ts";
import { keepingLeases, renewLeasesOn } from "./attempt/leases.ts";
import { tellingOfStandbys } from "./attempt/standbys.ts";
import { compareCopies } from "./compare-copies.ts";
import { joinMove } from "./join-move.ts";
import { changeEachShard } from "./migrate/change-each.ts";
import { leaseShards, releaseShards } from "./migrate/lease-shards.ts";
import { prepareEverywhere } from "./migrate/prepare-everywhere.ts";
import { commitEverywhere, PreparedLostError, rollBackEverywhere } from "./migrate/settle.ts";
import { analyze } from "./move/analyze.ts";
import { buildIndexes } from "./move/build-indexes.ts";
import { cleanUp } from "./move/clean-up.ts";
import { createStructure, dropStructure } from "./move/create-structure.ts";
import { finishCopy } from "./move/finish-copy.ts";
import { lockAndSwitch, settleSwitch } from "./move/lock-and-switch.ts";
import { AlreadySwitchedError } from "./move/parts/book.ts";
import { MoveStep, WrongDatabaseError } from "./move/parts/step.ts";
import { preflight } from "./move/preflight.ts";
import { subscribe, undoSubscribe } from "./move/subscribe.ts";
import { tablesync } from "./move/tablesync.ts";
import { verify } from "./move/verify.ts";
import { waitForLag } from "./move/wait-for-lag.ts";
import { WalLimitError, watchWal } from "./move/watch-wal.ts";
import { recordHistory } from "./record-history.ts";
import { closeWayBack } from "./way-back/close.ts";
import { openWayBack } from "./way-back/open.ts";
import { prepareWayBack } from "./way-back/prepare.ts";
import { watchWayBack } from "./way-back/watch.ts";

/** The steps, under the names that they have in the history. */
export function createActivities(
  deps: Deps,
): Activities & MigrateActivities & VerifyActivities & HistoryActivities & WayBackActivities {
  const step = (input: StepInput): MoveStep => new MoveStep(new ActivityAttempt(deps), input);
  /** A step that may take hours, and renews the shard's lease in the meantime. */
  const long = <T>(input: StepInput, run: (step: MoveStep) => Promise<T>): Promise<T> => {
    return telling(input, (own) => keepingLeases(own.attempt, [own.from], () => run(own)));
  };
  /** A step that reports when its commits wait for a standby. */
  const telling = <T>(input: StepInput, run: (step: MoveStep) => Promise<T>): Promise<T> => {
    const own = step(input);
    return tellingOfStandbys(own.attempt, [own.from, own.to], () => run(own));
  };
  return guarded(deps, {
    ...migrateActivities(deps),
    preflight: (input) => preflight(deps, input),
    "create structure": (input) => long(input, createStructure),
    subscribe: (input) => long(input, subscribe),
    tablesync: (input) => long(input, tablesync),
    "build indexes": (input) => long(input, buildIndexes),
    analyze: (input) => long(input, analyze),
    "wait for lag": (input) => long(input, (own) => waitForLag(own, input.subscription)),
    verify: (input) => long(input, verify),
    "lock and switch": (input) => long(input, (own) => lockAndSwitch(own, input)),
    "rehearse switch": (input) => long(input, (own) => lockAndSwitch(own, input)),
    "settle switch": untilDone((input) => telling(input, (own) => settleSwitch(own, input))),
    "finish copy": (input) => long(input, finishCopy),
    "clean up": untilDone((input) => telling(input, (own) => cleanUp(own, input))),
    // Only the limit may end a move from here.
    "watch WAL": untilDone((input) => watchWal(step(input)), WalLimitError),
    "keep lease": (input) => renewLeasesOn(new ActivityAttempt(deps), input.request.from),
    // In a database other than that of the move there is nothing to undo.
    "drop replication": untilDone(
      (input) => telling(input, undoSubscribe),
      AlreadySwitchedError,
      WrongDatabaseError,
    ),
    "drop structure": untilDone(
      (input) => telling(input, dropStructure),
      AlreadySwitchedError,
      WrongDatabaseError,
    ),
    "compare copies": (input) => compareCopies(new ActivityAttempt(deps), input),
    "prepare way back": (input) => long(input, prepareWayBack),
    "open way back": (input) => long(input, (own) => openWayBack(own, input)),
    "watch way back": untilDone((input) => {
      const own = step(input);
      return keepingLeases(own.attempt, [own.from], () => watchWayBack(own, input));
    }),
    "close way back": untilDone((input) => telling(input, (own) => closeWayBack(own, input))),
    "join move": (input) => joinMove(input),
    "record history": untilDone((line) => recordHistory(new ActivityAttempt(deps), line)),
  });
}

function migrateActivities(deps: Deps): MigrateActivities {
  /** A step that renews the leases on its islands while it runs. */
  const keeping = <T>(
    { islands }: ChangeInput,
    run: (attempt: ActivityAttempt) => Promise<T>,
  ): Promise<T> => {
    const attempt = new ActivityAttempt(deps);
    const names = islands.map(({ island }) => island);
    return keepingLeases(attempt, names, () => run(attempt));
  };
  return {
    "lease shards": (input) => leaseShards(new ActivityAttempt(deps), input),
    "prepare everywhere": (input) => keeping(input, (attempt) => prepareEverywhere(attempt, input)),
    "commit everywhere": untilDone(
      (input) => commitEverywhere(new ActivityAttempt(deps), input),
      PreparedLostError,
    ),
    "roll back everywhere": untilDone(({ islands }) =>
      rollBackEverywhere(new ActivityAttempt(deps), islands),
    ),
    "change each shard": (input) => keeping(input, (attempt) => changeEachShard(attempt, input)),
    "release shards": untilDone((input) => releaseShards(new ActivityAttempt(deps), input)),
  };
}

/** Puts fault points around each step, and turns what it throws into a failure that may go into the history. */
function guarded<T extends object>(deps: Deps, activities: T): T {
  const wrapped = Object.entries(activities).map(
    ([name, run]: [string, Retried<(input: never) => Promise<unknown>>]) => [
      name,
      async (input: never) => {
        try {
          await deps.fault(`before ${name as StepName}`);
          const result = await run(input);
          await deps.fault(`after ${name as StepName}`);
          return result;
        } catch (error) {
          await deps.fault(`failed ${name as StepName}`);
          const redact = (text: string): string => deps.islands.redact(text);
          const attempt = new ActivityAttempt(deps);
          const times =
            outlookOf(error) === "may pass" ? await attempt.countFailure(recognizable(error, redact)) : 1;
          throw toFailure(error, redact, run.retryRule, times, attempt.lastBeat);
        }
      },
    ],
  );
  return Object.fromEntries(wrapped) as T;
}

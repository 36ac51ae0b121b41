import type { ChangeInput, MigrateActivities } from "../contract/migrate.ts";
import type { Activities, StepInput } from "../contract/move.ts";
import { ActivityAttempt, type Deps } from "./attempt/attempt.ts";
import { keepingLeases, renewLeasesOn } from "./attempt/leases.ts";
import { joinMove } from "./join-move.ts";
import { changeEachShard } from "./migrate/change-each.ts";
import { leaseShards, releaseShards } from "./migrate/lease-shards.ts";
import { prepareEverywhere } from "./migrate/prepare-everywhere.ts";
import { commitEverywhere, rollBackEverywhere } from "./migrate/settle.ts";
import { analyze } from "./move/analyze.ts";
import { buildIndexes } from "./move/build-indexes.ts";
import { cleanUp } from "./move/clean-up.ts";
import { createStructure } from "./move/create-structure.ts";
import { finishCopy } from "./move/finish-copy.ts";
import { lockAndSwitch, settleSwitch } from "./move/lock-and-switch.ts";
import { MoveStep } from "./move/parts/step.ts";
import { preflight } from "./move/preflight.ts";
import { subscribe } from "./move/subscribe.ts";
import { tablesync } from "./move/tablesync.ts";
import { dropStructure, undoReplication } from "./move/undo.ts";
import { waitForLag } from "./move/wait-for-lag.ts";

/** The steps under the names by which the history knows them. */
export function createActivities(deps: Deps): Activities & MigrateActivities {
  const step = (input: StepInput): MoveStep => new MoveStep(new ActivityAttempt(deps), input);
  /** A step that may take hours, and keeps the shard's lease meanwhile. */
  const long = <T>(input: StepInput, run: (step: MoveStep) => Promise<T>): Promise<T> => {
    const own = step(input);
    return keepingLeases(own.attempt, [own.from], () => run(own));
  };
  return withFaults(deps, {
    ...migrateActivities(deps),
    preflight: (input) => preflight(deps, input),
    "create structure": (input) => long(input, createStructure),
    subscribe: (input) => long(input, subscribe),
    tablesync: (input) => long(input, tablesync),
    "build indexes": (input) => long(input, buildIndexes),
    analyze: (input) => long(input, analyze),
    "wait for lag": (input) => long(input, (own) => waitForLag(own, input.subscription)),
    "lock and switch": (input) => long(input, (own) => lockAndSwitch(own, input)),
    "settle switch": (input) => settleSwitch(step(input), input),
    "finish copy": (input) => long(input, finishCopy),
    "clean up": (input) => cleanUp(step(input), input),
    "keep lease": (input) => renewLeasesOn(new ActivityAttempt(deps), input.request.from),
    "drop replication": (input) => undoReplication(step(input)),
    "drop structure": (input) => dropStructure(step(input)),
    "join move": (input) => joinMove(input),
  });
}

function migrateActivities(deps: Deps): MigrateActivities {
  /** A step that keeps the leases of its islands meanwhile. */
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
    "commit everywhere": (input) => commitEverywhere(new ActivityAttempt(deps), input),
    "roll back everywhere": ({ islands }) => rollBackEverywhere(new ActivityAttempt(deps), islands),
    "change each shard": (input) => keeping(input, (attempt) => changeEachShard(attempt, input)),
    "release shards": (input) => releaseShards(new ActivityAttempt(deps), input),
  };
}

/** Puts the fault points of each step around it. */
function withFaults<T extends object>(deps: Deps, activities: T): T {
  const wrapped = Object.entries(activities).map(
    ([name, run]: [string, (input: never) => Promise<unknown>]) => [
      name,
      async (input: never) => {
        await deps.fault(`before ${name}`);
        const result = await run(input).catch(async (error: unknown) => {
          await deps.fault(`failed ${name}`);
          throw error;
        });
        await deps.fault(`after ${name}`);
        return result;
      },
    ],
  );
  return Object.fromEntries(wrapped) as T;
}

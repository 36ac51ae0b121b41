import type { Activities, StepInput } from "../workflows/contract.ts";
import { analyze } from "./analyze.ts";
import { buildIndexes } from "./build-indexes.ts";
import { cleanUp } from "./clean-up.ts";
import { type Deps, Step } from "./context.ts";
import { createStructure } from "./create-structure.ts";
import { finishCopy } from "./finish-copy.ts";
import { lockAndSwitch, settleSwitch } from "./lock-and-switch.ts";
import { preflight } from "./preflight.ts";
import { subscribe } from "./subscribe.ts";
import { tablesync } from "./tablesync.ts";
import { dropStructure, undoReplication } from "./undo.ts";
import { waitForLag } from "./wait-for-lag.ts";

/** The steps under the names by which the history knows them. */
export function createActivities(deps: Deps): Activities {
  const step = (input: StepInput): Step => new Step(deps, input);
  return withFaults(deps, {
    preflight: (input) => preflight(deps, input),
    "create structure": (input) => createStructure(step(input)),
    subscribe: (input) => subscribe(step(input)),
    tablesync: (input) => tablesync(step(input)),
    "build indexes": (input) => buildIndexes(step(input)),
    analyze: (input) => analyze(step(input)),
    "wait for lag": (input) => waitForLag(step(input), input.subscription),
    "lock and switch": (input) => lockAndSwitch(step(input), input),
    "settle switch": (input) => settleSwitch(step(input), input),
    "finish copy": (input) => finishCopy(step(input)),
    "clean up": (input) => cleanUp(step(input), input),
    "drop replication": (input) => undoReplication(step(input)),
    "drop structure": (input) => dropStructure(step(input)),
  });
}

/** Puts the two fault points of each step around it. */
function withFaults(deps: Deps, activities: Activities): Activities {
  const wrapped = Object.entries(activities).map(
    ([name, run]: [string, (input: never) => Promise<unknown>]) => [
      name,
      async (input: never) => {
        await deps.fault(`before ${name}`);
        const result = await run(input);
        await deps.fault(`after ${name}`);
        return result;
      },
    ],
  );
  return Object.fromEntries(wrapped) as Activities;
}

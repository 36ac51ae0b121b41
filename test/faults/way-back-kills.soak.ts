import { describe, it } from "node:test";

import type { FaultPoint } from "../../activities/attempt/fault-points.ts";
import { without } from "../support/versions.ts";
import { leadsBack, survivesGoingBack, survivesOnTheWay } from "./returning-shard.ts";

/** While the way back is prepared, opened and closed. */
const ON_THE_WAY: FaultPoint[] = [
  "before prepare way back",
  "after prepare way back",
  "after commit source",
  "before open way back",
  "after open way back",
  "before close way back",
  "after close way back",
];

/** While the shard goes back. */
const GOING_BACK: FaultPoint[] = [
  "before verify",
  "after prepare way back",
  "after set sequences",
  "before commit source",
  "after commit source",
  "after commit destination",
  "before clean up",
  "after clean up",
];

describe("a worker of a way back that is killed with SIGKILL", { concurrency: 4, timeout: 1_800_000 }, () => {
  for (const fault of ON_THE_WAY)
    it(`${fault} is replaced by the next; the shard can go back, and nothing is lost`, () =>
      survivesOnTheWay(fault));

  for (const fault of GOING_BACK)
    it(`${fault} of a rollback is replaced by the next, and nothing is lost`, () => survivesGoingBack(fault));
});

describe("the way back of a move between versions", () => {
  for (const [from, to] of [
    [15, 18],
    [18, 15],
    [17, 14],
    [19, 15],
    [14, 19],
  ] as const)
    it(`leads from PostgreSQL ${to} to ${from}`, { skip: without(from, to) }, () => leadsBack(from, to));
});

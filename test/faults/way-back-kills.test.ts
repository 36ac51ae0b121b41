import { describe, it } from "node:test";

import { survivesGoingBack, survivesOnTheWay } from "./returning-shard.ts";

/** The soak test has them all. */
describe("a worker of a way back that is killed with SIGKILL", { concurrency: 4, timeout: 600_000 }, () => {
  for (const fault of ["after prepare way back", "after open way back"] as const)
    it(`${fault} is replaced by the next, and nothing is lost`, () => survivesOnTheWay(fault));

  it("after commit source of a rollback is replaced by the next, and nothing is lost", () =>
    survivesGoingBack("after commit source"));
});

import { it } from "node:test";

import { rebalanceInStorm } from "./storm.ts";

it("a rebalance of 60 shards under writers survives its worker and Temporal, and names the one that cannot move", () =>
  rebalanceInStorm({ islandAwayMs: 0 }));

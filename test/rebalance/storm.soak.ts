import { it } from "node:test";

import { rebalanceInStorm } from "./storm.ts";

it("a rebalance survives an island that is away for 20 s in the middle, beside worker and Temporal", () =>
  rebalanceInStorm({ islandAwayMs: 20_000 }));

import { it } from "node:test";

import { Storm } from "./storm.ts";

it("24 shards under writers all move, except one that cannot, although an island, the worker and Temporal go down at once", async () => {
  const storm = await Storm.begin(24);
  await storm.arrived(4);
  await storm.loseIsland(3, 20_000, async () => {
    await storm.loseWorker();
    await storm.arrived(6, [2]);
    await storm.loseTemporal();
  });
  await storm.end();
});

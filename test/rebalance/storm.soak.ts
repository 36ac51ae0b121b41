import { it } from "node:test";

import { Storm } from "./storm.ts";

it("60 shards under writers all move, except one that cannot, although everything goes down once, one after the other", async () => {
  const storm = await Storm.begin(60);
  await storm.arrived(6);
  await storm.loseWorker();
  await storm.arrived(14);
  await storm.loseTemporal();
  await storm.arrived(22);
  await storm.loseIsland(3, 20_000);
  await storm.arrived(34);
  await storm.loseIsland(0, 20_000);
  await storm.end();
});

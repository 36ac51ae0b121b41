import { testKills } from "./kill.ts";

testKills([
  "after execute",
  "after prepare 2",
  "after prepare everywhere",
  "after commit 2",
  "after release shards",
]);

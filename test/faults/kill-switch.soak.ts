import { STATEMENTS, testKills } from "./kill-switch.ts";

testKills([
  ...STATEMENTS.slice(1).map((name) => `before ${name}`),
  ...["read", "begin destination", "wait", "complete destination"].map((name) => `after ${name}`),
]);

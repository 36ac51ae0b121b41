import { STATEMENTS, testKills } from "./kill-switch.ts";

testKills(["before lock", ...STATEMENTS.map((name) => `after ${name}`)]);

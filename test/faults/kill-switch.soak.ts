import { STATEMENTS, testKills } from "./kill-switch.ts";

testKills(STATEMENTS.slice(1).map((name) => `before ${name}`));

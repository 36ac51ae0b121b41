import { POINTS, testFrozen, testKills } from "./kill.ts";

testKills(POINTS);
testFrozen();

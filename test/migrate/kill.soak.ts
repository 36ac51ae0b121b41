import { POINTS, testKills } from "./kill.ts";

testKills(POINTS);

import { TELLING, testKills } from "./kill-switch.ts";

testKills(TELLING);

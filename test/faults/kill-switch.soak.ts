import { POINTS, TELLING, testKills } from "./kill-switch.ts";

testKills(POINTS.filter((point) => !TELLING.includes(point)));

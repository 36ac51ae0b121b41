import { testKills, testTerminated } from "./kill.ts";

testKills(["after prepare 2", "after commit 2"]);
testTerminated();

import { testServerCrashes } from "./servers.ts";

testServerCrashes(["after prepare everywhere"]);

import { testServerCrashes } from "./servers.ts";

testServerCrashes(["after execute", "after commit 1"]);

import { testFrozen } from "./frozen.ts";

testFrozen(["before execute", "after execute", "after prepare 3", "after prepare everywhere"]);

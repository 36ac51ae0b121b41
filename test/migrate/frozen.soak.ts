import { testFrozen } from "./frozen.ts";

testFrozen(["before execute", "after execute", "before prepare 1", "before prepare 3"]);

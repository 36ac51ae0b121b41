import { testFrozen } from "./frozen.ts";

testFrozen(["before prepare everywhere", "before prepare 2"]);

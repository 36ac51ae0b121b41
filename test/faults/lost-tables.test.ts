import { testLostTables } from "./lost-tables.ts";

testLostTables(["before truncate"]);

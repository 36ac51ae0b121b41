import { COPY_ANEW_POINTS } from "../../activities/attempt/fault-points.ts";
import { testLostTables } from "./lost-tables.ts";

testLostTables(COPY_ANEW_POINTS);

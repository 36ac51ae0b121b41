import { testOptimum } from "./optimum.ts";
import { testProperties } from "./properties.ts";

testProperties(1000);
testOptimum(1500);

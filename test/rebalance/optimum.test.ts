import { testLarge, testOptimum } from "./optimum.ts";

testOptimum(300);
testLarge();

import { testFreezes } from "./freeze.ts";

testFreezes({
  alone: ["before complete destination", "after leave source"],
  replaced: [
    "before tablesync",
    "after subscribe",
    "after lock",
    "before complete destination",
    "after leave source",
  ],
});

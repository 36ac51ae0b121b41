import { testFreezes } from "./freeze.ts";

testFreezes({
  alone: ["after wait", "after leave source"],
  replaced: ["before tablesync", "after subscribe", "after lock", "after wait", "after leave source"],
});

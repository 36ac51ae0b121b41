import { testFreezes } from "./freeze.ts";

testFreezes({
  alone: ["after lock", "after commit source"],
  replaced: ["before create structure", "before lock and switch", "after commit source"],
});

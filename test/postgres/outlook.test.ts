import assert from "node:assert/strict";
import { test } from "node:test";

import { isRetryable, MOST_TIMES, recognizable, toFailure } from "../../activities/attempt/failures.ts";
import { onIsland } from "../../src/postgres/errors/origin.ts";
import { type Outlook, outlookOfSqlstate } from "../../src/postgres/errors/outlook.ts";

const WANTED: Record<Outlook, string> = {
  passes:
    "08000 08001 08003 08006 08007 25P03 25P04 40000 40001 40003 40P01 53300 55006 55P03 57014 57P01 57P02 57P03 57P05",
  "may pass": "08004 08P01 25P02 57000 58000 58030 58P01 58P02 XX000",
  lasts:
    "22P02 23505 25006 28P01 3D000 40002 42501 42P01 53000 53100 53200 53400 54000 55000 55P02 55P04 57P04 58P03 XX001 XX002",
};

const databaseError = (code: string, message = "of the server"): Error =>
  Object.assign(new Error(message), { code });

for (const [outlook, sqlstates] of Object.entries(WANTED))
  test(`an error of the server ${outlook}: ${sqlstates}`, () => {
    const others = sqlstates.split(" ").filter((sqlstate) => outlookOfSqlstate(sqlstate) !== outlook);
    assert.deepEqual(others, []);
  });

test("an error that may pass ends a step when it has come the same way three times", () => {
  const error = databaseError("XX000");
  const ends = [1, 2, 3].map(
    (times) => (toFailure(error, String, undefined, times) as { nonRetryable?: boolean }).nonRetryable,
  );
  assert.deepEqual([ends, MOST_TIMES], [[false, false, true], 3]);
  assert.equal(isRetryable(databaseError("57P01"), 1000), true);
  assert.equal(isRetryable(databaseError("42P01")), false);
});

test("an error is recognized though the numbers in it are others", () => {
  const [first, second] = [1, 2345].map((n) =>
    databaseError("XX000", `could not open relation with OID ${n}`),
  );
  assert.equal(recognizable(first, String), recognizable(second, String));
  assert.notEqual(
    recognizable(first, String),
    recognizable(databaseError("XX000", "tuple concurrently updated"), String),
  );
  assert.notEqual(recognizable(first, String), recognizable(onIsland("a/app", second!), String));
});

test("an error is recognized without any part of a password, also of one with digits in it", () => {
  const error = databaseError(
    "XX000",
    `connection to "hunter22secret" failed ${"x".repeat(200)} hunter22secret`,
  );
  const text = recognizable(error, (all) => all.replaceAll("hunter22secret", "***"));
  assert.doesNotMatch(text, /hunter|secret/);
});

test("what a server lacks has a code, and the failure tells where and what to do", () => {
  const error = onIsland("host2/app", databaseError("53100", 'could not extend file "base/1/2"'));
  const failure = toFailure(error, String) as Error & { type?: string; nonRetryable?: boolean };
  assert.deepEqual([failure.type, failure.nonRetryable], ["disk_full", true]);
  assert.match(failure.message, /^host2\/app: could not extend file .*free space on it/);
});

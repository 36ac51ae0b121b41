import { COPY_SETTINGS } from "../postgres/islands/session-settings.ts";

/**
 * The settings of a session that compares rows. Both sides write and read text in the same way and qualify
 * all names, and a statement that takes too long is ended, so that its range can be made smaller. An index is used to
 * find a range even if the planner's statistics are old.
 */
export const COMPARE_SETTINGS = {
  ...COPY_SETTINGS,
  timezone: "UTC",
  search_path: "",
  statement_timeout: "10s",
  enable_seqscan: "off",
};

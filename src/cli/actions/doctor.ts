import type { RequestOf } from "../../config/option.ts";
import { CHECK, CORRECTION, ISLANDS } from "../../config/options.ts";
import type { Settings } from "../../config/settings.ts";
import { EXIT, UsageError } from "../../errors.ts";
import { bytes, count, duration, plural } from "../../format.ts";
import { groupBy } from "../../group-by.ts";
import type { Diagnosis } from "../../operations/doctor.ts";
import { type Finding, FINDINGS } from "../../preflight/finding.ts";
import type { TemporalHealth } from "../../watch/temporal-health.ts";
import { defineAction } from "../action.ts";
import { hang, type TextArea } from "../table.ts";
import type { Ui } from "../ui.ts";

export const doctor = defineAction({
  options: { ...ISLANDS, ...CHECK, fixSql: CORRECTION },
  examples: [
    "shardferry doctor --dsns=host1,host2",
    "shardferry doctor --shard=42 --to=host2 --dsns=host1,host2",
    "shardferry doctor --fix-sql --dsns=host1,host2",
    "shardferry doctor --schema=billing --from=host1 --to=host2 --dsns=host1,host2",
  ],

  async run({ ui, load }) {
    const { settings, request: given } = await load();
    const diagnosis = await diagnose(settings, given);
    const ok = diagnosis.findings.every(({ severity }) => severity !== "problem");
    const document = { ok, summary: summaryOf(diagnosis), ...diagnosis };
    ui.result(document, () => (given.fixSql ? script(diagnosis) : renderDiagnosis(diagnosis, ui)));
    return ok ? EXIT.done : EXIT.failed;
  },
});

/** Checks a move if a shard is given, a copy if a schema is, and the islands otherwise. */
async function diagnose(settings: Settings, given: RequestOf<typeof CHECK>): Promise<Diagnosis> {
  const { shard, schema, from, to } = given;
  const { doctor: examine, doctorCopy, doctorMove } = await import("../../operations/doctor.ts");
  if (shard !== undefined && schema === undefined && to !== undefined)
    return doctorMove(settings, { ...given, shard, to });
  if (schema !== undefined && shard === undefined && from !== undefined && to !== undefined)
    return doctorCopy(settings, { ...given, schema, from, to });
  if ([shard, schema, from, to].every((value) => value === undefined)) return examine(settings);
  throw new UsageError(
    "Give --shard and --to to check a move; --schema, --from and --to to check a copy; or none of these to check the islands.",
  );
}

/** How many findings of one kind are shown; the others are counted. */
const SHOWN = { problem: 10, warning: 3 };

/** Shows what was found: problems first. */
export function renderDiagnosis(diagnosis: Diagnosis, ui: TextArea): string {
  const { colors } = ui;
  const { checked, findings } = diagnosis;
  const head =
    findings.length === 0
      ? hang(ui, `${colors.green("✔")} `, `checked ${checked}: nothing to change`)
      : hang(ui, "", `checked ${checked}`);
  const groupsOf = (severity: Finding["severity"]): Finding[][] => [
    ...groupBy(
      findings.filter((one) => one.severity === severity),
      ({ code }) => code,
    ).values(),
  ];
  const parts = [
    [head],
    groupsOf("problem").flatMap((group) => showProblems(group, ui)),
    groupsOf("warning").flatMap((group) => showWarnings(group, ui)),
    factsOf(diagnosis, colors).map((line) => hang(ui, "", line)),
    [hang(ui, "", summaryOf(diagnosis))],
  ];
  return parts
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join("\n"))
    .join("\n\n");
}

const said = ({ island, text }: Finding): string =>
  island && !text.includes(island) ? `${island}: ${text}` : text;

const more = (group: readonly Finding[], shown: number): string[] =>
  group.length > shown ? [`    and ${count(group.length - shown)} more; --json has all of them`] : [];

function showProblems(group: readonly Finding[], ui: TextArea): string[] {
  const lines = group
    .slice(0, SHOWN.problem)
    .map((one) => hang(ui, `${ui.colors.red("✘")} `, `${said(one)} ${ui.colors.dim(`[${one.code}]`)}`));
  return [...lines, ...more(group, SHOWN.problem)];
}

function showWarnings(group: readonly Finding[], ui: TextArea): string[] {
  const [first, ...others] = group;
  const mark = `${ui.colors.yellow("!")} `;
  const code = ui.colors.dim(`[${first!.code}]`);
  if (others.length === 0) return [hang(ui, mark, `${said(first!)} ${code}`)];
  const sql = group.some((one) => one.sql.length > 0) ? ", which --fix-sql corrects" : "";
  return [
    hang(ui, mark, `${count(group.length)} × ${FINDINGS[first!.code]}${sql} ${code}`),
    ...group.slice(0, SHOWN.warning).map((one) => hang(ui, "    ", said(one))),
    ...more(group, SHOWN.warning),
  ];
}

/** What is good to know, and needs no change. */
function factsOf({ fine, servers, leftovers, temporal, size }: Diagnosis, colors: Ui["colors"]): string[] {
  const lines = [
    `${colors.green("✔")} ${plural(fine.length, "check")} without a finding: ${fine.join(", ")}`,
    `PostgreSQL: ${servers.map(({ island, version }) => `${island} ${version}`).join(", ")}`,
    temporal === null
      ? "Temporal: none is configured or running; the commands start the embedded server"
      : describeTemporal(temporal),
  ];
  if (leftovers !== null && leftovers.count > 0) {
    const droppable = leftovers.list.filter(({ kept }) => kept === null).length;
    lines.push(
      `Leftovers: ${count(leftovers.count)}, ${bytes(leftovers.bytes)}; \`shardferry cleanup\` drops ${count(droppable)} of them`,
    );
  }
  if (size !== null) {
    const time =
      size.expectedMs === null
        ? "no move of that size has been made yet, so its duration is unknown"
        : `expected to take about ${duration(size.expectedMs)}`;
    lines.push(
      `Size: ${plural(size.tables, "table")}, ${bytes(size.bytes)}, about ${count(size.rows)} rows; ${time}`,
    );
  }
  return lines;
}

function describeTemporal({ address, namespace, embedded, version, workers }: TemporalHealth): string {
  const kind = embedded ? "the embedded server at " : "";
  const server = version === null ? "not usable" : `version ${version}`;
  const polling =
    workers.length > 0
      ? `${plural(workers.length, "worker")}: ${workers.join(", ")}`
      : embedded
        ? "no worker; the commands do the work"
        : "no worker";
  return `Temporal: ${kind}${address}, namespace ${namespace}, ${server}; ${polling}`;
}

/** `1 problem, 12 warnings (1 kind), 17 checks without a finding`. */
function summaryOf({ findings, fine }: Diagnosis): string {
  const [problems, warnings] = (["problem", "warning"] as const).map((severity) =>
    findings.filter((one) => one.severity === severity),
  ) as [Finding[], Finding[]];
  const kinds = new Set(warnings.map(({ code }) => code)).size;
  const of = warnings.length > kinds ? ` of ${plural(kinds, "kind")}` : "";
  const found = `${plural(problems.length, "problem")}, ${plural(warnings.length, "warning")}${of}`;
  return `${found}, ${plural(fine.length, "check")} without a finding`;
}

/** The SQL that corrects what was found, by island. */
function script({ findings }: Diagnosis): string {
  const islands = groupBy(
    findings.filter(({ sql }) => sql.length > 0),
    ({ island }) => island ?? "of your choice",
  );
  const parts = [...islands].map(([island, list]) => {
    const statements = list.flatMap(({ code, sql }) => [`-- ${code}`, ...sql]);
    // One comment is enough for statements of the same kind.
    const lines = statements.filter((line, i) => !line.startsWith("--") || statements.indexOf(line) === i);
    return [`-- island ${island}`, ...lines].join("\n");
  });
  const left = findings.filter(({ severity, sql }) => severity === "problem" && sql.length === 0);
  if (left.length > 0)
    parts.push(
      ["-- not to be corrected by SQL:", ...left.map((one) => `-- ${said(one).replaceAll("\n", " ")}`)].join(
        "\n",
      ),
    );
  return parts.join("\n\n") || "-- nothing to correct";
}

import { ident } from "../postgres/quote.ts";
import { type CatalogObject, type Fact, fact, own, RANK } from "./facts.ts";

const tidy = (definition: string): string => definition.trim().replace(/;$/, "");

/** Facts of a constraint of a table or of a domain. */
export function constraintFacts({ kind, parent, name, made, data }: CatalogObject): Fact[] {
  const { type, definition, validated } = data as { type?: string; definition: string; validated: boolean };
  const ofDomain = kind === "domain constraint";
  const alter = `ALTER ${ofDomain ? "DOMAIN" : "TABLE"} ${own(parent!)}`;
  const id = `constraint ${parent}.${name}`;
  const label = `constraint ${name} of ${parent}`;
  const content = definition.replace(/ NOT VALID$/, "");
  const facts = [
    fact({
      id,
      label,
      made,
      content,
      change: "recreate",
      within: ofDomain ? `type ${parent}` : `relation ${parent}`,
      // Later, a domain that is part of another type may be in use, and then PostgreSQL adds none.
      rank: ofDomain ? RANK.type : type === "f" ? RANK.foreignKey : RANK.key,
      ddl: `${alter} ADD CONSTRAINT ${ident(name)} ${definition}`,
      undo: `${alter} DROP CONSTRAINT ${ident(name)}`,
    }),
  ];
  // A constraint that is not enforced is never validated.
  if (validated || / NOT ENFORCED$/.test(content)) return facts;
  return [
    ...facts,
    fact({
      id: `not valid ${id}`,
      label,
      within: id,
      included: true,
      rank: RANK.property,
      isUnvalidatedKey: type === "f",
      ddl: `-- ${label} is NOT VALID: older rows may violate it`,
      undo: `${alter} VALIDATE CONSTRAINT ${ident(name)}`,
    }),
  ];
}

/** Facts of an index that does not belong to a constraint. */
export function indexFacts({ parent, name, made, data }: CatalogObject): Fact[] {
  const { definition, valid, ofView } = data as { definition: string; valid: boolean; ofView: boolean };
  const id = `index ${name}`;
  const label = `index ${name} of ${parent}`;
  const index = fact({
    id,
    label,
    made,
    within: `relation ${parent}`,
    change: "recreate",
    rank: ofView ? RANK.view + 1 : RANK.index,
    // Created on a partitioned table, it creates its parts itself.
    ddl: definition.replace(/ ON ONLY /, " ON "),
    undo: `DROP INDEX ${own(name)}`,
  });
  if (valid) return [index];
  const invalid = fact({
    id: `invalid ${id}`,
    label,
    within: id,
    rank: RANK.property,
    included: true,
    ddl: `-- ${label} is INVALID: it is not used, but still maintained`,
    undo: `REINDEX INDEX ${own(name)}`,
  });
  return [index, invalid];
}

const STATES: Record<string, string> = { D: "DISABLE", R: "ENABLE REPLICA", A: "ENABLE ALWAYS" };

/** Facts of a trigger or a rule, with its state if that is not the usual one. */
export function firingFacts({ kind, parent, name, made, data }: CatalogObject): Fact[] {
  const { definition, enabled } = data as { definition: string | null; enabled: string };
  const id = `${kind} ${parent}.${name}`;
  const label = `${kind} ${name} of ${parent}`;
  const within = `relation ${parent}`;
  const word = kind.toUpperCase();
  const alter = (state: string): string => `ALTER TABLE ${own(parent!)} ${state} ${word} ${ident(name)}`;
  const state = STATES[enabled];
  return [
    ...(definition === null
      ? []
      : [
          fact({
            id,
            label,
            made,
            within,
            rank: RANK.trigger,
            change: "recreate",
            ddl: tidy(definition),
            undo: `DROP ${word} ${ident(name)} ON ${own(parent!)}`,
          }),
        ]),
    ...(state
      ? [
          fact({
            id: `state ${id}`,
            label: `state of ${label}`,
            within: definition === null ? within : id,
            rank: RANK.property,
            ddl: alter(state),
            undo: alter("ENABLE"),
          }),
        ]
      : []),
  ];
}

const COMMANDS: Record<string, string> = { r: "SELECT", a: "INSERT", w: "UPDATE", d: "DELETE", "*": "ALL" };

/** The fact of a policy. */
export function policyFacts({ parent, name, made, data }: CatalogObject): Fact[] {
  const policy = data as {
    command: string;
    permissive: boolean;
    roles: (string | null)[];
    using: string | null;
    check: string | null;
  };
  const roles = policy.roles.map((role) => (role === null ? "PUBLIC" : ident(role))).join(", ");
  const on = `${ident(name)} ON ${own(parent!)}`;
  return [
    fact({
      id: `policy ${parent}.${name}`,
      label: `policy ${name} of ${parent}`,
      made,
      change: "recreate",
      within: `relation ${parent}`,
      rank: RANK.trigger,
      ddl:
        `CREATE POLICY ${on} AS ${policy.permissive ? "PERMISSIVE" : "RESTRICTIVE"} FOR ${COMMANDS[policy.command]} TO ${roles}` +
        (policy.using === null ? "" : ` USING (${policy.using})`) +
        (policy.check === null ? "" : ` WITH CHECK (${policy.check})`),
      undo: `DROP POLICY ${on}`,
    }),
  ];
}

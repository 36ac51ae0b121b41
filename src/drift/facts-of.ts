import { constraintFacts, firingFacts, indexFacts, policyFacts } from "./attached-facts.ts";
import { columnFacts } from "./column-facts.ts";
import type { CatalogObject, Fact, Grant } from "./facts.ts";
import {
  defaultPrivilegeFacts,
  functionFacts,
  otherFacts,
  schemaFacts,
  statisticsFacts,
  typeFacts,
} from "./other-facts.ts";
import { type SequenceData, sequenceFacts } from "./sequence-facts.ts";
import { relationFacts } from "./table-facts.ts";

/** All facts of a schema by their ids, from the objects in its catalogs. */
export function factsOf(objects: readonly CatalogObject[]): Map<string, Fact> {
  const columns = new Map<string, CatalogObject[]>();
  const identities = new Map<string, SequenceData>();
  for (const object of objects) {
    if (object.kind === "column")
      columns.set(object.parent!, [...(columns.get(object.parent!) ?? []), object]);
    if (object.kind !== "sequence") continue;
    const data = object.data as SequenceData;
    if (data.identity) identities.set(`${data.table}.${data.column}`, data);
  }
  for (const list of columns.values()) list.sort((a, b) => a.made - b.made);
  const facts = objects.flatMap((object) => {
    if (object.kind === "relation") return relationFacts(object, columns.get(object.name) ?? [], identities);
    if (object.kind === "column") return columnFacts(object, identities);
    return (MAKERS[object.kind] ?? otherFacts)(object);
  });
  return new Map(facts.map((fact) => [fact.id, fact]));
}

/** The object without the privilege MAINTAIN. */
export function withoutMaintain(object: CatalogObject): CatalogObject {
  const data = object.data as { grants?: readonly Grant[] | null };
  if (!data.grants) return object;
  return {
    ...object,
    data: { ...data, grants: data.grants.filter(([, , privilege]) => privilege !== "MAINTAIN") },
  };
}

const MAKERS: Record<string, (object: CatalogObject) => Fact[]> = {
  schema: schemaFacts,
  sequence: sequenceFacts,
  constraint: constraintFacts,
  "domain constraint": constraintFacts,
  index: indexFacts,
  trigger: firingFacts,
  rule: firingFacts,
  policy: policyFacts,
  function: functionFacts,
  type: typeFacts,
  statistics: statisticsFacts,
  "default privileges": defaultPrivilegeFacts,
};

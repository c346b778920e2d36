// What streams a capability has, and by what rules each writes its target: looked up from both servers before they run.
import type { Connection } from 'mysql2/promise';
import { isIdentity } from '../acl/identity.ts';
import type { RowTranslator } from '../acl/translator.ts';
import type { BanyanConfig, Capability, Side } from '../capability/capability.ts';
import { type Connect, Connections } from './connections.ts';
import type { FrameKey } from './frame.ts';
import { mappingsFrom, type TableMapping } from './mapping.ts';
import { membersIn } from './source-columns.ts';
import type { WriteRules } from './statements.ts';
import { isUtf8, readTableFacts, resolveTranslators, type TableFacts } from './target-tables.ts';

/** The stream of a capability's reference tables. */
export const referencesOf = (capability: string) => `${capability}+references`;

export type StreamPlan = {
  readonly key: FrameKey;
  readonly kind: 'tables' | 'references';
  readonly capability: Capability;
  readonly translators: readonly RowTranslator[];
  readonly mappings: ReadonlyMap<string, readonly TableMapping[]>;
  readonly sourceSchema: string;
  readonly targetSchema: string;
};

export const otherSide = (side: Side): Side => (side === 'legacy' ? 'service' : 'legacy');
type PlanOptions = { readonly config: BanyanConfig; readonly connect: Connect };

export const identitiesOf = ({ tables }: Capability): ReadonlySet<string> =>
  new Set(tables.filter(isIdentity).map(({ identity }) => identity));

/** The streams of a capability: one in each direction, and that of its reference tables. */
export async function planStreams(
  { config, connect }: PlanOptions,
  capability: Capability,
): Promise<StreamPlan[]> {
  using connections = new Connections(connect);
  const legacy = await connections.open('legacy', 'apply');
  const service = await connections.open('service', 'apply');
  const schemas = { legacy: config.legacy.database, service: capability.service.database };
  const resolve = (declared: Capability['tables']) =>
    resolveTranslators(
      capability.name,
      declared,
      { sql: legacy, schema: schemas.legacy },
      { sql: service, schema: schemas.service },
    );
  const tables = await resolve(capability.tables);
  const identities = identitiesOf(capability);
  const make = (
    source: Side,
    kind: StreamPlan['kind'],
    translators: readonly RowTranslator[],
  ): StreamPlan => ({
    key: { capability: kind === 'tables' ? capability.name : referencesOf(capability.name), source },
    kind,
    capability,
    translators,
    mappings: mappingsFrom(source, translators, identities),
    sourceSchema: schemas[source],
    targetSchema: schemas[otherSide(source)],
  });
  const streams = [make('legacy', 'tables', tables), make('service', 'tables', tables)];
  return capability.references.length > 0
    ? [...streams, make('legacy', 'references', capability.references)]
    : streams;
}

export async function planAgain(options: PlanOptions, known: StreamPlan): Promise<StreamPlan> {
  const plans = await planStreams(options, known.capability);
  const { capability, source } = known.key;
  return plans.find(({ key }) => key.capability === capability && key.source === source) ?? known;
}

export async function writeRules(
  sql: Connection,
  { mappings, targetSchema, capability }: StreamPlan,
): Promise<WriteRules> {
  const targets = new Set(
    [...mappings.values()].flat().flatMap((mapping) => mapping.targets.map(({ table }) => table)),
  );
  const facts = await Promise.all([...targets].map((table) => readTableFacts(sql, targetSchema, table)));
  const plain = new Set(
    facts.filter(({ otherUniqueKeys }) => otherUniqueKeys.length === 0).map(({ table }) => table),
  );
  const utf8 = new Set(facts.filter(isUtf8).map(({ table }) => table));
  const numbers = new Map(
    facts.map((each) => [each.table, new Set(columnsOf(each, (type) => /^(bigint|decimal)/.test(type)))]),
  );
  // Only where both sides have the same type is every value of the source one of the target.
  const identities = identitiesOf(capability);
  const zeroEnums = new Map(
    facts
      .filter(({ table }) => identities.has(table))
      .map((each) => [
        each.table,
        columnsOf(each, (type) => type.startsWith('enum(') && !membersIn(type).includes('')),
      ]),
  );
  return {
    schema: targetSchema,
    isPlain: (table) => plain.has(table),
    isUtf8: (table) => utf8.has(table),
    keepOrder: facts.some(({ hasForeignKey }) => hasForeignKey),
    isNumber: (table, column) => numbers.get(table)?.has(column) ?? false,
    zeroEnums: (table) => zeroEnums.get(table) ?? [],
  };
}

/** Columns of a table whose type has this form. */
const columnsOf = ({ types }: TableFacts, is: (type: string) => boolean): string[] =>
  [...types].filter(([, type]) => is(type)).map(([name]) => name);

/** The stream that legacy follows the service by. */
export const isWayBack = ({ key, kind }: StreamPlan) => kind === 'tables' && key.source === 'service';

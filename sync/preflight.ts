// `banyan doctor`: everything that would break, at once, each with its remedy. It changes nothing. What it judges is
// read first; the judging is in preflight/, a file for each theme.
import type { Connection } from 'mysql2/promise';
import { isIdentity } from '../acl/identity.ts';
import type { RowTranslator } from '../acl/translator.ts';
import type { BanyanConfig, Capability, Side } from '../capability/capability.ts';
import { SyncError } from './errors.ts';
import { type Access, connectFinding, openAccess, type PreflightOptions } from './preflight/access.ts';
import { accountFindings } from './preflight/accounts.ts';
import { binlogFindings } from './preflight/binlog-settings.ts';
import { isRead, isWritten, type TableUse, tableUses } from './preflight/captured.ts';
import { numberFindings } from './preflight/counters.ts';
import { engineFindings } from './preflight/engine-settings.ts';
import { type Finding, inOrder } from './preflight/finding.ts';
import { type Link, linksOf } from './preflight/links.ts';
import { packetFindings } from './preflight/packets.ts';
import { applyingFindings, readingFindings } from './preflight/privileges.ts';
import { retentionFindings } from './preflight/retention.ts';
import { readSchema, type SchemaFacts, seesTriggers } from './preflight/schema-facts.ts';
import { ifAllowed, readServerFacts, type ServerFacts } from './preflight/server-facts.ts';
import { pairFindings } from './preflight/server-pair.ts';
import { serverOf, tableFindings } from './preflight/table-findings.ts';
import { uniqueFindings } from './preflight/unique-keys.ts';
import { resolveTranslators } from './target-tables.ts';

type SideFacts = {
  readonly access: Access;
  readonly server: ServerFacts;
  readonly schemas: ReadonlyMap<string, SchemaFacts>;
  /** Who looked at the tables. */
  readonly sql: Connection;
};

/** What nobody may say to the accounts at hand. */
function unseenFinding(side: Side, unseen: readonly string[]): Finding[] {
  if (unseen.length === 0) return [];
  return [
    {
      code: 'not-all-seen',
      severity: 'warn',
      server: serverOf(side),
      object: unseen.join(', '),
      what: `the accounts at hand are not shown: ${unseen.join(', ')}; faults there are not in this list`,
      remedy: `give ${side === 'legacy' ? '--legacy-url' : '--services-url'} with an account that sees everything: mysql://ADMIN:PASSWORD@HOST:PORT`,
    },
  ];
}

async function readSide(
  access: Access,
  uses: readonly TableUse[],
): Promise<{ facts: SideFacts; findings: Finding[] } | undefined> {
  const { side, looker, read, apply } = access;
  const asker = looker ?? read ?? apply;
  // Legacy's reference tables are only read, the service's only written.
  const sql = looker ?? (side === 'legacy' ? (read ?? apply) : (apply ?? read));
  if (!asker || !sql) return undefined;
  const here = uses.filter((use) => use.side === side);
  const server = await readServerFacts(asker);
  const schemas = new Map<string, SchemaFacts>();
  const unseen: string[] = [];
  for (const schema of new Set(here.map((use) => use.schema))) {
    const names = here.filter((use) => use.schema === schema).map(({ table }) => table);
    const withTriggers = await seesTriggers(sql, schema);
    schemas.set(schema, await readSchema(sql, server, schema, names, withTriggers));
    if (!withTriggers) unseen.push(`triggers of ${schema}`);
  }
  const accounts = await accountFindings(
    asker,
    side,
    here.filter((use) => isRead(use) && isWritten(use)),
  );
  if (!accounts) unseen.push('the accounts of others');
  if (!server.filters) unseen.push('filters of the binlog');
  if (server.isReplica === undefined) unseen.push('whether the server follows another');
  if (server.preparedXa === undefined) unseen.push('prepared XA transactions');
  return {
    facts: { access, server, schemas, sql },
    findings: [...(accounts ?? []), ...unseenFinding(side, unseen)],
  };
}

function sideFindings(
  { access: { side }, server, schemas }: SideFacts,
  uses: readonly TableUse[],
): Finding[] {
  const name = serverOf(side);
  const here = uses.filter((use) => use.side === side);
  const logged = new Set([...here.filter(isRead).map(({ schema }) => schema), 'banyan']);
  const rows = here
    .filter(isRead)
    .reduce((sum, { schema, table }) => sum + (schemas.get(schema)?.get(table)?.rows ?? 0), 0);
  const none: SchemaFacts = new Map();
  const streamed = new Set(here.filter(isWritten).map(({ table }) => table));
  const insideOf = (capability: string) =>
    new Set(
      here.filter((use) => use.capability === capability).map(({ schema, table }) => `${schema}.${table}`),
    );
  return [
    ...binlogFindings(name, server, [...logged]),
    ...engineFindings(name, server),
    ...retentionFindings(name, server, rows),
    ...here.flatMap((use) =>
      tableFindings(use, schemas.get(use.schema) ?? none, {
        server,
        inside: insideOf(use.capability),
        streamed,
      }),
    ),
  ];
}

async function privilegeFindings(
  options: PreflightOptions,
  { access, schemas, server: { dialect } }: SideFacts,
  uses: readonly TableUse[],
): Promise<Finding[]> {
  const { side, read, apply } = access;
  const ending = read && { dialect, victim: () => options.connect(side, 'read') };
  return [
    ...(read ? await readingFindings(read, options.connection(side), side, uses, schemas) : []),
    ...(apply ? await applyingFindings(apply, side, uses, schemas, ending) : []),
  ];
}

type Resolved = { readonly translators: readonly RowTranslator[]; readonly findings: readonly Finding[] };

/** Identity tables become translators by both schemas, as for the worker. */
async function resolve(
  { name, tables, service }: Capability,
  legacySchema: string,
  facts: Readonly<Record<Side, SideFacts>>,
): Promise<Resolved> {
  const translators: RowTranslator[] = [];
  const findings: Finding[] = [];
  for (const each of tables)
    try {
      translators.push(
        ...(await resolveTranslators(
          name,
          [each],
          { sql: facts.legacy.sql, schema: legacySchema },
          { sql: facts.service.sql, schema: service.database },
        )),
      );
    } catch (error) {
      // A table that is missing, or has no key, has a finding of its own.
      if (!(error instanceof SyncError)) throw error;
      if (error.code !== 'identity-differs' || !isIdentity(each)) continue;
      findings.push({
        code: 'identity-differs',
        severity: 'refuse',
        server: 'services',
        capability: name,
        object: `${service.database}.${each.identity}`,
        what: error.message,
        remedy: error.hint,
      });
    }
  return { translators, findings };
}

/** What only shows where both sides are seen. */
async function betweenSides(
  { capabilities, legacy }: BanyanConfig,
  facts: Readonly<Record<Side, SideFacts>>,
): Promise<Finding[]> {
  const servers = { legacy: facts.legacy.server, service: facts.service.server };
  const findings = pairFindings(servers.legacy, servers.service);
  const none: SchemaFacts = new Map();
  const links: Link[] = [];
  for (const capability of capabilities) {
    const schemas = { legacy: legacy.database, service: capability.service.database };
    const tables = {
      legacy: facts.legacy.schemas.get(schemas.legacy) ?? none,
      service: facts.service.schemas.get(schemas.service) ?? none,
    };
    const resolved = await resolve(capability, schemas.legacy, facts);
    findings.push(...resolved.findings);
    links.push(
      ...linksOf(resolved.translators, false, schemas, tables),
      ...linksOf(capability.references, true, schemas, tables),
    );
  }
  const owned = links.filter(({ isReference }) => !isReference);
  return [
    ...findings,
    ...numberFindings(links),
    ...packetFindings(links, servers),
    ...(await uniqueFindings(facts.legacy.sql, servers.legacy, links, 'legacy', 'service')),
    ...(await uniqueFindings(facts.service.sql, servers.service, owned, 'service', 'legacy')),
  ];
}

async function controlFindings({ control }: PreflightOptions): Promise<Finding[]> {
  let sql: Connection | undefined;
  try {
    sql = await control();
    const seen = await ifAllowed(sql, 'SELECT name FROM capability WHERE FALSE');
    if (seen) return [];
    return [connectFinding('control', 'banyan_cli', [new Error('banyan_cli may not read the phases')])];
  } catch (error) {
    return [connectFinding('control', 'banyan_cli', [error])];
  } finally {
    sql?.destroy();
  }
}

/** Everything about one side; its facts, where somebody could look. */
async function lookAt(
  options: PreflightOptions,
  access: Access,
  uses: readonly TableUse[],
): Promise<{ facts: SideFacts | undefined; findings: Finding[] }> {
  const seen = await readSide(access, uses);
  if (!seen) return { facts: undefined, findings: [] };
  const findings = [
    ...seen.findings,
    ...sideFindings(seen.facts, uses),
    ...(await privilegeFindings(options, seen.facts, uses)),
  ];
  return { facts: seen.facts, findings };
}

/** Every finding, those that refuse first; an empty list means that nothing stands in the way. */
export async function preflight(options: PreflightOptions): Promise<Finding[]> {
  const { config } = options;
  const uses = tableUses(config);
  const opened = await Promise.all([openAccess(options, 'legacy'), openAccess(options, 'service')]);
  try {
    const [legacy, service] = await Promise.all([
      lookAt(options, opened[0].access, uses),
      lookAt(options, opened[1].access, uses),
    ]);
    const both = legacy.facts && service.facts && { legacy: legacy.facts, service: service.facts };
    return inOrder([
      ...opened.flatMap(({ findings }) => findings),
      ...legacy.findings,
      ...service.findings,
      ...(both ? await betweenSides(config, both) : []),
      ...(await controlFindings(options)),
    ]);
  } finally {
    for (const { access } of opened)
      for (const sql of [access.looker, access.read, access.apply]) sql?.destroy();
  }
}

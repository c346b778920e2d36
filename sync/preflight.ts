// `banyan doctor`: everything that would break, at once, each with its remedy. It changes nothing. What it judges is
// read first; the judging is in preflight/, a file for each theme.
import type { ConnectionOptions } from 'mysql2';
import type { Connection } from 'mysql2/promise';
import { isIdentity } from '../acl/identity.ts';
import type { RowTranslator } from '../acl/translator.ts';
import type { BanyanConfig, Capability, Side } from '../capability/capability.ts';
import { SyncError } from './errors.ts';
import { accountFindings } from './preflight/accounts.ts';
import { isRead, isWritten, type TableUse, tableUses } from './preflight/captured.ts';
import { numberFindings } from './preflight/counters.ts';
import { type Finding, type FindingServer, inOrder } from './preflight/finding.ts';
import { type Link, linksOf } from './preflight/links.ts';
import { packetFindings } from './preflight/packets.ts';
import { applyingFindings, readingFindings } from './preflight/privileges.ts';
import { retentionFindings } from './preflight/retention.ts';
import { readSchema, type SchemaFacts, seesTriggers } from './preflight/schema-facts.ts';
import { codeOf, ifAllowed, readServerFacts, type ServerFacts } from './preflight/server-facts.ts';
import { pairFindings } from './preflight/server-pair.ts';
import { binlogFindings, engineFindings } from './preflight/settings.ts';
import { serverOf, tableFindings } from './preflight/table-findings.ts';
import { uniqueFindings } from './preflight/unique-keys.ts';
import { resolveTranslators } from './target-tables.ts';

export type PreflightOptions = {
  readonly config: BanyanConfig;
  /** As the worker connects. Rejects where there is no password, or the server says no. */
  readonly connect: (side: Side, account: 'read' | 'apply') => Promise<Connection>;
  /** For a dump, as the account that reads; only asked for where that account could connect. */
  readonly connection: (side: Side) => ConnectionOptions;
  /** As somebody who sees everything on the server; undefined where nobody is known. */
  readonly look: (side: Side) => Promise<Connection> | undefined;
  readonly control: () => Promise<Connection>;
};

const sides = ['legacy', 'service'] as const;

/** The connections to one side that there are. */
type Access = {
  readonly side: Side;
  readonly looker: Connection | undefined;
  readonly read: Connection | undefined;
  readonly apply: Connection | undefined;
};

type SideFacts = {
  readonly access: Access;
  readonly server: ServerFacts;
  readonly schemas: ReadonlyMap<string, SchemaFacts>;
  /** Who looked at the tables. */
  readonly sql: Connection;
};

const lostPattern = /^(E[A-Z]+|PROTOCOL_CONNECTION_LOST|HANDSHAKE_.*|ER_CON_COUNT_ERROR|ER_HOST_.*)$/;

/** The reason is under the error that explains it to people. */
const causeCode = (error: unknown) => codeOf(error instanceof Error ? (error.cause ?? error) : error);
const isLost = (error: unknown) => lostPattern.test(causeCode(error));

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

function connectFinding(server: FindingServer, object: string, errors: readonly unknown[]): Finding {
  const lost = errors.find(isLost);
  const what = messageOf(lost ?? errors[0]);
  if (lost !== undefined)
    return {
      code: 'unreachable',
      severity: 'refuse',
      server,
      object: server,
      what,
      remedy: 'start the server, or correct its address; what depends on it was not looked at',
    };
  return {
    code: 'not-installed',
    severity: 'refuse',
    server,
    object,
    what,
    remedy: 'run "banyan install": it makes the schema banyan and the accounts, and sets their passwords',
  };
}

async function openAccess(
  { connect, look }: PreflightOptions,
  side: Side,
): Promise<{ access: Access; findings: Finding[] }> {
  const failures: { readonly object: string; readonly error: unknown }[] = [];
  const open = async (object: string, opening: Promise<Connection> | undefined) => {
    try {
      return await opening;
    } catch (error) {
      failures.push({ object, error });
      return undefined;
    }
  };
  const access = {
    side,
    looker: await open('the account of the URL', look(side)),
    read: await open('banyan_read', connect(side, 'read')),
    apply: await open('banyan_apply', connect(side, 'apply')),
  };
  const objects = failures.map(({ object }) => object).join(', ');
  const errors = failures.map(({ error }) => error);
  return { access, findings: errors.length > 0 ? [connectFinding(serverOf(side), objects, errors)] : [] };
}

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
    schemas.set(schema, await readSchema(sql, server, schema));
    if (!(await seesTriggers(sql, schema))) unseen.push(`triggers of ${schema}`);
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
  const insideOf = (capability: string) =>
    new Set(
      here.filter((use) => use.capability === capability).map(({ schema, table }) => `${schema}.${table}`),
    );
  return [
    ...binlogFindings(name, server, [...logged]),
    ...engineFindings(name, server),
    ...retentionFindings(name, server, rows),
    ...here.flatMap((use) =>
      tableFindings(use, schemas.get(use.schema) ?? none, server, insideOf(use.capability)),
    ),
  ];
}

async function privilegeFindings(
  options: PreflightOptions,
  { access, schemas }: SideFacts,
  uses: readonly TableUse[],
): Promise<Finding[]> {
  const { side, read, apply } = access;
  return [
    ...(read ? await readingFindings(read, options.connection(side), side, uses, schemas) : []),
    ...(apply ? await applyingFindings(apply, side, uses, schemas) : []),
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

/** Every finding, those that refuse first; an empty list means that nothing stands in the way. */
export async function preflight(options: PreflightOptions): Promise<Finding[]> {
  const { config } = options;
  const uses = tableUses(config);
  const findings: Finding[] = [];
  const opened: Access[] = [];
  const facts = new Map<Side, SideFacts>();
  try {
    for (const side of sides) {
      const { access, findings: refused } = await openAccess(options, side);
      opened.push(access);
      findings.push(...refused);
      const seen = await readSide(access, uses);
      if (!seen) continue;
      facts.set(side, seen.facts);
      findings.push(
        ...seen.findings,
        ...sideFindings(seen.facts, uses),
        ...(await privilegeFindings(options, seen.facts, uses)),
      );
    }
    const [legacy, service] = [facts.get('legacy'), facts.get('service')];
    if (legacy && service) findings.push(...(await betweenSides(config, { legacy, service })));
    findings.push(...(await controlFindings(options)));
    return inOrder(findings);
  } finally {
    for (const { looker, read, apply } of opened) for (const sql of [looker, read, apply]) sql?.destroy();
  }
}

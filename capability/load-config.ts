// Reads banyan.config.ts and says everything that is wrong with it, at once.
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type RowTranslator, translatorFaults } from '../acl/translator.ts';
import { analysisFaults } from './analysis.ts';
import { type BanyanConfig, type Capability, methods, type Route } from './capability.ts';
import { contextFaults } from './context.ts';
import { parseJsonPath } from './json-path.ts';
import { parityMinutesMax } from './parity.ts';
import { upstreamFaults } from './upstream.ts';

/** A configuration that cannot be used: every fault, one a line. */
export class ConfigError extends Error {
  override name = 'ConfigError';
  readonly faults: readonly string[];
  constructor(path: string, faults: readonly string[]) {
    super(`${path} cannot be used:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`);
    this.faults = faults;
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';
const isFunction = (value: unknown) => typeof value === 'function';
const isAboveZero = (value: unknown) => Number.isSafeInteger(value) && Number(value) > 0;
const asList = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

const pathPattern = /^(\/(:?[A-Za-z0-9._~!$&'()+,;=@-]+))*(\/\*)?\/?$/;

function routeFaults(route: Record<string, unknown>): string[] {
  const faults: string[] = [];
  if (!methods.some((method) => method === route.method))
    faults.push(`method "${String(route.method)}" is not one of ${methods.join(', ')} (HEAD follows GET)`);
  if (!isText(route.path) || !route.path.startsWith('/') || !pathPattern.test(route.path))
    faults.push(
      `path "${String(route.path)}" is not a literal path with :name segments, perhaps ending in /*`,
    );
  if (route.kind !== 'read' && route.kind !== 'write')
    faults.push('kind must be read or write: Banyan cannot guess it');
  if (route.kind === 'read' && typeof route.safe !== 'boolean')
    faults.push('a read must say whether it is safe to repeat');
  if (route.kind === 'read' && route.method !== 'GET' && route.translate !== undefined)
    faults.push('only GET reads can be translated');
  if (route.kind === 'write' && route.alsoReads !== undefined) faults.push('alsoReads is for reads');
  if (route.kind === 'read' && route.alsoWrites !== undefined) faults.push('alsoWrites is for writes');
  if (asList(route.alsoReads).length > 0 && route.translate !== undefined)
    faults.push('a route that also reads another capability stays on legacy: drop translate or alsoReads');
  if (route.remedy !== undefined && (!isText(route.remedy) || asList(route.alsoWrites).length === 0))
    faults.push('remedy is a text, and says what becomes of what alsoWrites names');
  if (route.cache !== undefined && !(route.cache === true && route.kind === 'read' && route.safe === true))
    faults.push('cache is true, and for safe reads');
  const { translate, rateLimit } = route;
  if (
    rateLimit !== undefined &&
    !(isObject(rateLimit) && isAboveZero(rateLimit.max) && isAboveZero(rateLimit.perMs))
  )
    faults.push('rateLimit is { max, perMs }, both whole numbers above 0');
  if (
    translate !== undefined &&
    !(isObject(translate) && isFunction(translate.request) && isFunction(translate.response))
  )
    faults.push('translate is no translator: it needs request and response');
  faults.push(...shadowFaults(route));
  return faults;
}

/** How the answers of a read are compared. */
function shadowFaults({ kind, shadow }: Record<string, unknown>): string[] {
  if (shadow === undefined) return [];
  if (kind !== 'read' || !isObject(shadow)) return ['shadow says how the answers of a read are compared'];
  const faults: string[] = [];
  for (const [name, list] of Object.entries(shadow)) {
    const isHeaders = name === 'headers';
    if (!isHeaders && !['ignore', 'redact', 'show'].includes(name))
      faults.push(`shadow.${name} is not one of ignore, headers, redact, show`);
    else if (!Array.isArray(list)) faults.push(`shadow.${name} is not a list`);
    for (const each of asList(list)) {
      const isFine = isHeaders
        ? isText(each) && /^[\w-]+$/.test(each)
        : isText(each) && (parseJsonPath(each) !== undefined || (name === 'show' && /^\?./.test(each)));
      if (!isFine)
        faults.push(
          `shadow.${name} has ${JSON.stringify(each)}, which is ${isHeaders ? 'no name of a header' : 'no place like $.list[*].name'}`,
        );
    }
  }
  return faults;
}

/** How the facade learns whose session it is. */
function identityFaults(identity: unknown): string[] {
  if (identity === undefined) return [];
  if (!isObject(identity)) return ['is not an object'];
  const faults: string[] = [];
  if (!isText(identity.cookie)) faults.push('names no cookie');
  if (!isText(identity.path) || !identity.path.startsWith('/'))
    faults.push('has no path that tells who is logged in');
  if (!isFunction(identity.userOf)) faults.push('has no userOf, which reads the answer');
  if (!Array.isArray(identity.dropAt))
    faults.push("has no dropAt: the requests after which a session may be another user's");
  for (const drop of asList(identity.dropAt))
    if (
      !isObject(drop) ||
      !methods.some((method) => method === drop.method) ||
      !isText(drop.path) ||
      !drop.path.startsWith('/')
    )
      faults.push(`dropAt has ${JSON.stringify(drop)}, which is no method with a path`);
  return faults;
}

/** Who is expected to write a capability's tables. */
function writersFault(writers: unknown): string | undefined {
  if (writers === undefined) return undefined;
  const isNames = (names: unknown) => Array.isArray(names) && names.length > 0 && names.every(isText);
  return isObject(writers) && isNames(writers.legacy) && isNames(writers.service)
    ? undefined
    : 'writers lists the names of database users, one list for legacy and one for service';
}

/** Names in `alsoReads` and `alsoWrites` that are not another capability. */
const alsoFaults = (
  route: Record<string, unknown>,
  own: string | undefined,
  names: readonly string[],
): string[] =>
  [...asList(route.alsoReads), ...asList(route.alsoWrites)]
    .filter((also) => also === own || !names.includes(String(also)))
    .map((also) => `${String(route.path)} names "${String(also)}", which is not another capability`);

const isTranslator = (value: unknown): value is RowTranslator =>
  isObject(value) &&
  isObject(value.source) &&
  Array.isArray(value.targets) &&
  typeof value.forward === 'function';

function capabilityFaults(capability: Record<string, unknown>, upstreams: Record<string, unknown>): string[] {
  const faults: string[] = [];
  if (!isText(capability.name) || !/^[a-z][a-z0-9-]{0,63}$/.test(capability.name))
    faults.push(`name "${String(capability.name)}" is not lower-case letters, digits and hyphens`);
  if (!isText(capability.team)) faults.push('it names no team: who is called when it breaks?');
  const service = isObject(capability.service) ? capability.service : {};
  if (!isText(service.upstream) || !(service.upstream in upstreams))
    faults.push(
      `service.upstream "${String(service.upstream)}" is not one of upstreams (${Object.keys(upstreams).join(', ')})`,
    );
  if (!isText(service.database)) faults.push('service.database names no schema');
  if (service.isRefusal !== undefined && !isFunction(service.isRefusal))
    faults.push('service.isRefusal is not a function');
  const writers = writersFault(capability.writers);
  if (writers) faults.push(writers);
  const parityMinutes = isObject(capability.gates) ? capability.gates.parityMinutes : undefined;
  if (
    parityMinutes !== undefined &&
    !(Number(parityMinutes) >= 1 && Number(parityMinutes) <= parityMinutesMax)
  )
    faults.push(`gates.parityMinutes is not 1 to ${parityMinutesMax}`);
  const routes = asList(capability.routes);
  if (routes.length === 0) faults.push('it has no routes');
  for (const [index, route] of routes.entries())
    if (!isObject(route)) faults.push(`route ${index + 1} is not an object`);
    else
      for (const fault of routeFaults(route))
        faults.push(`route ${index + 1} (${String(route.method)} ${String(route.path)}): ${fault}`);
  const targets = new Set<string>();
  for (const part of ['tables', 'references'] as const)
    for (const [index, table] of asList(capability[part]).entries()) {
      if (part === 'tables' && isObject(table) && isText(table.identity)) continue;
      if (!isTranslator(table)) {
        faults.push(`${part} ${index + 1} is not a translator: make it with rowTranslator`);
        continue;
      }
      faults.push(...translatorFaults(table));
      for (const target of table.targets)
        for (const column of [...Object.keys(target.columns), ...Object.keys(target.constants ?? {})]) {
          const name = `${target.table}.${column}`;
          if (targets.has(name) && !target.key.includes(column)) faults.push(`${name} comes from two tables`);
          targets.add(name);
        }
    }
  if (asList(capability.tables).length === 0) faults.push('it has no tables');
  return faults;
}

/** Every fault of a configuration; an empty list means that it is one. */
export function configFaults(config: unknown): string[] {
  if (!isObject(config)) return ['its default export is not a configuration object'];
  const faults: string[] = [];
  const upstreams = isObject(config.upstreams) ? config.upstreams : {};
  if (!('legacy' in upstreams)) faults.push('upstreams.legacy, the monolith, is missing');
  for (const [name, upstream] of Object.entries(upstreams))
    for (const fault of upstreamFaults(upstream)) faults.push(`upstreams.${name}${fault}`);
  const legacy = isObject(config.legacy) ? config.legacy : {};
  if (!isText(legacy.database)) faults.push('legacy.database names no schema');
  if (!isObject(legacy.manner) || !isText(legacy.manner.contentType))
    faults.push('legacy.manner does not say how legacy dresses its JSON (contentType)');
  for (const fault of identityFaults(legacy.identity)) faults.push(`legacy.identity ${fault}`);
  if (config.flags !== undefined) {
    const unleash = isObject(config.flags) && isObject(config.flags.unleash) ? config.flags.unleash : {};
    if (!isText(unleash.project) || !isText(unleash.environment))
      faults.push('flags.unleash names no project and environment');
  }
  const capabilities = asList(config.capabilities);
  if (capabilities.length === 0) faults.push('there are no capabilities');
  const names = capabilities.map((capability) => (isObject(capability) ? String(capability.name) : '?'));
  const seen = new Map<string, string>();
  for (const [index, capability] of capabilities.entries()) {
    if (!isObject(capability)) {
      faults.push(`capability ${index + 1} is not an object`);
      continue;
    }
    const name = names[index] ?? '?';
    if (names.indexOf(name) !== index) faults.push(`there are two capabilities "${name}"`);
    const own = [
      ...capabilityFaults(capability, upstreams),
      ...analysisFaults(capability.analysis),
      ...contextFaults(capability.context, legacy.identity !== undefined),
    ];
    faults.push(...own.map((fault) => `${name}: ${fault}`));
    for (const route of asList(capability.routes).filter(isObject)) {
      const signature = `${String(route.method)} ${String(route.path).replace(/:[^/]+/g, ':')}`;
      const other = seen.get(signature);
      if (other !== undefined)
        faults.push(
          `${name}: ${String(route.method)} ${String(route.path)} is declared twice (also by ${other})`,
        );
      seen.set(signature, name);
      faults.push(...alsoFaults(route, name, names).map((fault) => `${name}: ${fault}`));
    }
  }
  for (const route of asList(legacy.routes).filter(isObject))
    for (const fault of [...routeFaults(route), ...alsoFaults(route, undefined, names)])
      faults.push(`legacy.routes (${String(route.method)} ${String(route.path)}): ${fault}`);
  return faults;
}

/** Identity, for the editor: `export default defineConfig({ … })`. */
export const defineConfig = (config: BanyanConfig): BanyanConfig => config;

/** Every route of the configuration with its capability. */
export const routesOf = (config: BanyanConfig): { capability: Capability; route: Route }[] =>
  config.capabilities.flatMap((capability) => capability.routes.map((route) => ({ capability, route })));

/**
 * Loads a configuration by its path.
 * @throws ConfigError with every fault
 */
export async function loadConfig(path: string): Promise<BanyanConfig> {
  const file = resolve(path);
  if (!existsSync(file)) throw new ConfigError(path, ['there is no such file: name one with --config']);
  let config: unknown;
  try {
    ({ default: config } = await import(pathToFileURL(file).href));
  } catch (error) {
    throw new ConfigError(path, [
      `it could not be read: ${error instanceof Error ? error.message : String(error)}`,
    ]);
  }
  const faults = configFaults(config);
  if (faults.length > 0) throw new ConfigError(path, faults);
  return config as BanyanConfig;
}

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { StartError } from './errors.ts';
import { type IdentityKeys, readIdentityKeys } from './identity.ts';

export type Options = {
  /** mysql://USER:PASSWORD@HOST:PORT/DATABASE */
  readonly databaseUrl: string;
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** The folder of NNNN-name.sql files. */
  readonly migrations: string;
  readonly logLevel: string;
  readonly identity: IdentityKeys;
  /** A collector of traces, by OTLP over HTTP; undefined: there are no spans. */
  readonly traceUrl?: string | undefined;
};

const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'];

/**
 * The options from the environment; each may be given as NAME_FILE instead, a file that holds the value.
 * @throws StartError that lists every fault
 */
export function readOptions(env: Readonly<Record<string, string | undefined>>): Options {
  const faults: string[] = [];
  const read = (name: string): string | undefined => {
    const file = env[`${name}_FILE`];
    if (env[name] && file) faults.push(`${name} and ${name}_FILE are both set: set one`);
    if (env[name] || !file) return env[name] || undefined;
    try {
      return readFileSync(file, 'utf8').trimEnd();
    } catch (error) {
      faults.push(`${name}_FILE: ${error instanceof Error ? error.message : String(error)}`);
      return undefined;
    }
  };
  const databaseUrl = read('REVIEWS_DATABASE_URL') ?? '';
  const databaseFault = faultOfUrl(databaseUrl);
  if (databaseFault && !faults.some((fault) => fault.startsWith('REVIEWS_DATABASE_URL')))
    faults.push(`REVIEWS_DATABASE_URL ${databaseFault}: set it to mysql://USER:PASSWORD@HOST:PORT/DATABASE`);
  const port = read('REVIEWS_PORT') ?? '8083';
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535)
    faults.push(
      `REVIEWS_PORT is not a port: ${JSON.stringify(port)}: set it to 1..65535, or 0 for any free one`,
    );
  const logLevel = read('REVIEWS_LOG_LEVEL') ?? 'info';
  if (!logLevels.includes(logLevel)) faults.push(`REVIEWS_LOG_LEVEL is not one of ${logLevels.join(', ')}`);
  const traceUrl = read('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT');
  if (traceUrl !== undefined && !/^https?:$/.test(URL.parse(traceUrl)?.protocol ?? ''))
    faults.push('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is not http://HOST:PORT/v1/traces, or https');
  const host = read('REVIEWS_HOST') ?? '127.0.0.1';
  const migrations =
    read('REVIEWS_MIGRATIONS') ?? join(import.meta.dirname, '..', '..', 'migrations', 'reviews');
  const identity = identityOf(read('REVIEWS_IDENTITY_KEYS'), env.REVIEWS_IDENTITY || undefined);
  if ('fault' in identity && !faults.some((fault) => fault.startsWith('REVIEWS_IDENTITY_KEYS')))
    faults.push(identity.fault);
  const keys = 'keys' in identity ? identity.keys : 'off';
  if (faults.length > 0) throw new StartError(faults.join('; '));
  return { databaseUrl, host, port: Number(port), migrations, logLevel, identity: keys, traceUrl };
}

/** Signed identities are what one gets, unless somebody says in so many words that they need not be. */
function identityOf(
  keys: string | undefined,
  mode: string | undefined,
): { keys: IdentityKeys } | { fault: string } {
  if (mode !== undefined && mode !== 'off')
    return { fault: `REVIEWS_IDENTITY can only be off, not ${JSON.stringify(mode)}` };
  if (keys !== undefined && mode === 'off')
    return { fault: 'REVIEWS_IDENTITY_KEYS and REVIEWS_IDENTITY=off are both set: set one' };
  if (mode === 'off') return { keys: 'off' };
  if (keys === undefined)
    return {
      fault:
        'REVIEWS_IDENTITY_KEYS is not set: set it to the public keys (JWKS) of who may say who a member is,' +
        ' or REVIEWS_IDENTITY=off to believe anybody, in development',
    };
  const read = readIdentityKeys(keys);
  return 'fault' in read ? { fault: `REVIEWS_IDENTITY_KEYS ${read.fault}` } : read;
}

/** Never repeats the URL: it holds a password. */
function faultOfUrl(text: string): string | undefined {
  if (text === '') return 'is not set';
  if (!URL.canParse(text)) return 'is not a URL';
  const url = new URL(text);
  if (url.protocol !== 'mysql:') return 'does not begin with mysql://';
  return url.hostname === '' || url.pathname.length < 2 ? 'names no host or no database' : undefined;
}

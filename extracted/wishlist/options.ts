import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { StartError } from './errors.ts';

export type Options = {
  /** mysql://USER:PASSWORD@HOST:PORT/DATABASE */
  readonly databaseUrl: string;
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** The folder of NNNN-name.sql files. */
  readonly migrations: string;
  readonly logLevel: string;
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
  const databaseUrl = read('WISHLIST_DATABASE_URL') ?? '';
  const databaseFault = faultOfUrl(databaseUrl);
  if (databaseFault && !faults.some((fault) => fault.startsWith('WISHLIST_DATABASE_URL')))
    faults.push(`WISHLIST_DATABASE_URL ${databaseFault}: set it to mysql://USER:PASSWORD@HOST:PORT/DATABASE`);
  const port = read('WISHLIST_PORT') ?? '8084';
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535)
    faults.push(
      `WISHLIST_PORT is not a port: ${JSON.stringify(port)}: set it to 1..65535, or 0 for any free one`,
    );
  const logLevel = read('WISHLIST_LOG_LEVEL') ?? 'info';
  if (!logLevels.includes(logLevel)) faults.push(`WISHLIST_LOG_LEVEL is not one of ${logLevels.join(', ')}`);
  const host = read('WISHLIST_HOST') ?? '127.0.0.1';
  const migrations =
    read('WISHLIST_MIGRATIONS') ?? join(import.meta.dirname, '..', '..', 'migrations', 'wishlist');
  if (faults.length > 0) throw new StartError(faults.join('; '));
  return { databaseUrl, host, port: Number(port), migrations, logLevel };
}

/** Never repeats the URL: it holds a password. */
function faultOfUrl(text: string): string | undefined {
  if (text === '') return 'is not set';
  if (!URL.canParse(text)) return 'is not a URL';
  const url = new URL(text);
  if (url.protocol !== 'mysql:') return 'does not begin with mysql://';
  return url.hostname === '' || url.pathname.length < 2 ? 'names no host or no database' : undefined;
}

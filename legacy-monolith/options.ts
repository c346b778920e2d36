// What the shop can be told from outside. Read once, by the mains; everything below takes values.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A variable is missing or says something that cannot be. */
export class OptionsError extends Error {
  override name = 'OptionsError';
}

export type DatabaseAddress = {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
};

const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

export type ShopOptions = {
  readonly database: DatabaseAddress;
  /** The folder that holds the photos of reviews; made when it is not there. */
  readonly uploads: string;
  /** The folder of the schema's `*.sql` files. */
  readonly migrations: string;
  /** Scheme and authority of absolute redirects; undefined: http and the request's own Host. */
  readonly publicUrl: string | undefined;
  /** The peer address whose X-Forwarded-For is believed. */
  readonly trustedProxy: string | undefined;
  readonly logLevel: LogLevel;
  /** How often an event stream says that it is alive, and looks whether the database knows more. */
  readonly heartbeatMs: number;
};

export type ServerOptions = ShopOptions & { readonly host: string; readonly port: number };

type Environment = Readonly<Record<string, string | undefined>>;

/** NAME, or the content of the file that NAME_FILE names, without its last line break. */
function read(env: Environment, name: string): string | undefined {
  const file = env[`${name}_FILE`];
  if (!file) return env[name] || undefined;
  if (env[name]) throw new OptionsError(`${name} and ${name}_FILE are both set: set one of them`);
  try {
    return readFileSync(file, 'utf8').replace(/\r?\n$/, '') || undefined;
  } catch (cause) {
    throw new OptionsError(`${name}_FILE: ${cause instanceof Error ? cause.message : cause}`, { cause });
  }
}

function integer(env: Environment, name: string, fallback: number, min: number, max: number): number {
  const text = read(env, name);
  if (text === undefined) return fallback;
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= min && value <= max))
    throw new OptionsError(`${name} must be a whole number from ${min} to ${max}, not "${text}"`);
  return value;
}

/**
 * @param text mysql://user:password@host:port/database; user and password percent-encoded
 * @throws OptionsError, without the password in its message
 */
export function parseDatabaseUrl(text: string): DatabaseAddress {
  const url = URL.parse(text);
  const database = url ? decodeURIComponent(url.pathname.slice(1)) : '';
  if (url?.protocol !== 'mysql:' || !url.hostname || !url.username || !/^[^/]+$/.test(database))
    throw new OptionsError('LEGACY_DATABASE_URL must look like mysql://user:password@host:3306/database');
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: Number(url.port || 3306),
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    database,
  };
}

/** LEGACY_DATABASE_URL. @throws OptionsError */
export function readDatabase(env: Environment): DatabaseAddress {
  const url = read(env, 'LEGACY_DATABASE_URL');
  if (url === undefined)
    throw new OptionsError('LEGACY_DATABASE_URL is not set: mysql://user:password@host:3306/database');
  return parseDatabaseUrl(url);
}

/** LEGACY_UPLOADS. */
export const readUploads = (env: Environment) =>
  read(env, 'LEGACY_UPLOADS') ?? join(import.meta.dirname, 'var', 'uploads');

/** LEGACY_MIGRATIONS. */
export const readMigrations = (env: Environment) =>
  read(env, 'LEGACY_MIGRATIONS') ?? join(import.meta.dirname, '..', 'migrations', 'legacy');

/** Everything `node server.ts` takes. @throws OptionsError that names the variable */
export function readServerOptions(env: Environment): ServerOptions {
  const publicUrl = read(env, 'LEGACY_PUBLIC_URL');
  if (publicUrl !== undefined && !/^https?:\/\/[^/]+\/?$/.test(publicUrl))
    throw new OptionsError(
      `LEGACY_PUBLIC_URL must be scheme and host, like https://shop.example, not "${publicUrl}"`,
    );
  const level = read(env, 'LEGACY_LOG_LEVEL') ?? 'warn';
  const logLevel = logLevels.find((known) => known === level);
  if (logLevel === undefined)
    throw new OptionsError(`LEGACY_LOG_LEVEL must be one of ${logLevels.join(', ')}, not "${level}"`);
  return {
    database: readDatabase(env),
    host: read(env, 'LEGACY_HOST') ?? '127.0.0.1',
    port: integer(env, 'LEGACY_PORT', 8082, 0, 65_535),
    uploads: readUploads(env),
    migrations: readMigrations(env),
    publicUrl: publicUrl?.replace(/\/$/, ''),
    trustedProxy: read(env, 'LEGACY_TRUSTED_PROXY'),
    logLevel,
    heartbeatMs: integer(env, 'LEGACY_HEARTBEAT_MS', 15_000, 10, 600_000),
  };
}

// What a command of the CLI is, and what all of them share: options, output, errors, connections.
import { existsSync, readFileSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import { join } from 'node:path';
import type { ConnectionOptions } from 'mysql2';
import { type Connection, createConnection } from 'mysql2/promise';
import type { BanyanConfig, Capability } from '../capability/capability.ts';
import { type CapabilityRow, controlSchema, readCapability } from '../capability/control-store.ts';
import { loadConfig } from '../capability/load-config.ts';
import { type Declaration, parseOptions, type Values } from '../capability/options.ts';
import { readStack, type Stack } from './stack.ts';

/** A failure that is the user's to mend: what happened, to what, and what to do. Exit code 1, or 2 for usage. */
export class CommandError extends Error {
  override name = 'CommandError';
  readonly exitCode: 1 | 2;
  constructor(message: string, options: { exitCode?: 1 | 2; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.exitCode = options.exitCode ?? 1;
  }
}

/** Nobody answers there: a command that may wait tries again. */
export class ServerAwayError extends CommandError {
  override name = 'ServerAwayError';
}

/** By the driver's word: the connection is of no use any more, whatever was asked last. */
export const isLostConnection = (error: unknown): error is Error =>
  error instanceof Error && 'fatal' in error && error.fatal === true;

export const commonOptions = {
  config: { type: 'text', default: 'banyan.config.ts', env: 'BANYAN_CONFIG', help: 'The configuration.' },
  folder: {
    type: 'text',
    default: 'var',
    env: 'BANYAN_FOLDER',
    help: 'Where the accounts\' passwords are (secrets/), and the stack that "npm start" runs, if any.',
  },
  json: {
    type: 'flag',
    help: 'Print one JSON object (docs/cli.md has its shape) and nothing else on standard output.',
  },
  help: { type: 'flag', help: 'Print this.' },
} as const satisfies Declaration;

export const serverOptions = {
  legacyUrl: {
    type: 'url',
    env: 'BANYAN_LEGACY_URL',
    secret: true,
    help: 'The legacy database server, mysql://[USER:PASSWORD@]HOST:PORT. Without a user, the account that "banyan install" made is used.',
  },
  servicesUrl: {
    type: 'url',
    env: 'BANYAN_SERVICES_URL',
    secret: true,
    help: "The services' database server.",
  },
  controlUrl: {
    type: 'url',
    env: 'BANYAN_CONTROL_URL',
    secret: true,
    help: 'The server of the control store; by default the legacy one.',
  },
} as const satisfies Declaration;

export const actorOption = {
  actor: { type: 'text', env: 'BANYAN_ACTOR', help: 'Who does it, for the audit; by default USER@HOST.' },
} as const satisfies Declaration;

/** Of every command that changes something. */
export const actingOptions = { ...commonOptions, ...serverOptions, ...actorOption } as const;

/** Where the result goes: lines for people, one object for `--json`. */
export type Output = {
  readonly json: boolean;
  /** A line for people; not printed with --json. */
  say(line: string): void;
  /** On standard error in both, for what takes long. `last` ends the line on a terminal. */
  progress(line: string, last?: boolean): void;
};

export type Command<D extends Declaration = Declaration> = {
  readonly name: string;
  /** The words after the name, for the usage line. */
  readonly words: string;
  readonly summary: string;
  /** Teaches: what it does, what it needs, what to do next. */
  readonly help: string;
  readonly options: D;
  run(input: { values: Values<D>; words: readonly string[]; output: Output }): Promise<Done>;
};

/** The object that --json prints, and the exit code when it is not 0. */
export type Done = { readonly result: object; readonly exitCode?: number };

/** A command as the command line knows it: the types of its options are its own affair. */
export type Startable = Omit<Command, 'run'> & {
  /** @param args what follows the command's name; @throws OptionsError */
  start(args: readonly string[], env: NodeJS.ProcessEnv, output: Output): Promise<Done>;
};

/** Keeps the option types of a command while it is declared. */
export const command = <D extends Declaration>(declaration: Command<D>): Command<D> & Startable => ({
  ...declaration,
  start: async (args, env, output) =>
    declaration.run({ ...parseOptions(declaration.options, args, env), output }),
});

export const actorOf = (given: string | undefined) => given ?? `${userInfo().username}@${hostname()}`;

/** The capability that the command line names. */
export function capabilityNamed(config: BanyanConfig, words: readonly string[]): Capability {
  const [name, ...more] = words;
  const known = config.capabilities.map((each) => each.name).join(', ');
  if (name === undefined) throw new CommandError(`name a capability: ${known}`, { exitCode: 2 });
  if (more.length > 0)
    throw new CommandError(`one capability at a time: what is "${more.join(' ')}"?`, { exitCode: 2 });
  const capability = config.capabilities.find((each) => each.name === name);
  if (!capability)
    throw new CommandError(`there is no capability "${name}"; the configuration has ${known}`, {
      exitCode: 2,
    });
  return capability;
}

export type ServerValues = Values<typeof serverOptions> & { readonly folder: string };

export type Account = 'banyan_read' | 'banyan_apply' | 'banyan_cli' | 'banyan_facade';

/** The file that holds an account's password, or another secret. */
export const secretFile = (folder: string, name: string) => join(folder, 'secrets', name);

const servers = {
  legacy: { option: '--legacy-url', variable: 'BANYAN_LEGACY_URL', what: 'the legacy database server' },
  services: {
    option: '--services-url',
    variable: 'BANYAN_SERVICES_URL',
    what: "the services' database server",
  },
  control: { option: '--control-url', variable: 'BANYAN_CONTROL_URL', what: 'the control store' },
} as const;

export type ServerName = keyof typeof servers;

/** Where a server is: as given, else as the stack that `npm start` runs says. */
export function serverUrl(
  server: ServerName,
  values: ServerValues,
  stack: Stack | undefined = readStack(values.folder),
): URL {
  const given = {
    legacy: values.legacyUrl,
    services: values.servicesUrl,
    control: values.controlUrl ?? values.legacyUrl,
  }[server];
  const fallback = stack?.databases[server];
  const { what, option, variable } = servers[server];
  if (!given && !fallback)
    throw new CommandError(
      `where is ${what}? Give ${option} or ${variable}, or run "npm start" for the sample's`,
      { exitCode: 2 },
    );
  const url = new URL(given ?? fallback ?? '');
  if (url.protocol !== 'mysql:')
    throw new CommandError(`${given ? option : 'the stack file'} is not a mysql:// URL`, { exitCode: 2 });
  if (!given) {
    // The stack's own account may do everything; a command uses the one made for it.
    url.username = '';
    url.password = '';
  }
  return url;
}

function withAccount(url: URL, account: Account, folder: string): URL {
  if (url.username !== '') return url;
  const file = secretFile(folder, account);
  if (!existsSync(file))
    throw new CommandError(
      `the password of ${account} is not in ${file}: run "banyan install" first, or give a URL with a user`,
    );
  const complete = new URL(url);
  complete.username = account;
  complete.password = encodeURIComponent(readFileSync(file, 'utf8').trim());
  return complete;
}

function explain(server: ServerName, url: URL, error: unknown): CommandError {
  const { what, option } = servers[server];
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
  const where = `${url.hostname}:${url.port || 3306}`;
  const message = error instanceof Error ? error.message : String(error);
  if (code === 'ECONNREFUSED' || code === 'ETIMEDOUT' || code === 'ENOTFOUND' || code === 'EHOSTUNREACH')
    return new ServerAwayError(
      `${what} at ${where} does not answer (${code}): is it up, and is ${option} right?`,
      { cause: error },
    );
  if (code === 'ER_ACCESS_DENIED_ERROR' || code === 'ER_DBACCESS_DENIED_ERROR')
    return new CommandError(
      `${what} at ${where} refuses ${url.username}: ${message}. "banyan install" makes the accounts and sets their passwords`,
      { cause: error },
    );
  if (code === 'ER_BAD_DB_ERROR')
    return new CommandError(
      `${what} at ${where} has no schema "${url.pathname.slice(1)}": ${server === 'control' ? 'run "banyan install"' : 'start the application that owns it'} first`,
      { cause: error },
    );
  // What the server itself says is no reason to believe that it will say something else soon.
  const Kind = code.startsWith('ER_') ? CommandError : ServerAwayError;
  return new Kind(`${what} at ${where}: ${message}`, { cause: error });
}

/** Values come as the server says them: DECIMAL, BIGINT, dates and JSON as texts. */
export const connectionOptions = (url: URL): ConnectionOptions => ({
  uri: url.href,
  charset: 'utf8mb4',
  dateStrings: true,
  // Room for as many is set aside on each connection, half a megabyte for the default.
  maxPreparedStatements: 16,
  supportBigNumbers: true,
  bigNumberStrings: true,
  jsonStrings: true,
  connectTimeout: 5_000,
});

type ConnectOptions = { readonly multipleStatements?: boolean };

/** A connection of its own. */
export async function connectTo(
  server: ServerName,
  url: URL,
  options: ConnectOptions = {},
): Promise<Connection> {
  try {
    const sql = await createConnection({
      ...connectionOptions(url),
      multipleStatements: options.multipleStatements ?? false,
    });
    // A connection that is lost while nobody uses it is found out by its next user.
    sql.on('error', () => undefined);
    return sql;
  } catch (error) {
    throw explain(server, url, error);
  }
}

/** Where a server is, with the account made for the purpose, or the user of the URL when one is given. */
export const accountUrl = (server: ServerName, account: Account, values: ServerValues): URL =>
  withAccount(serverUrl(server, values), account, values.folder);

export function connectAs(
  server: ServerName,
  account: Account,
  values: ServerValues,
  options: ConnectOptions = {},
): Promise<Connection> {
  const url = accountUrl(server, account, values);
  url.pathname = server === 'control' ? `/${controlSchema}` : '/';
  return connectTo(server, url, options);
}

/** Runs with a connection to the control store, and closes it. */
export async function withControl<T>(values: ServerValues, use: (sql: Connection) => Promise<T>): Promise<T> {
  const sql = await connectAs('control', 'banyan_cli', values);
  try {
    return await use(sql);
  } finally {
    sql.destroy();
  }
}

/** Where a capability stands. @throws CommandError when it was not installed */
export async function standingOf(control: Connection, capability: string): Promise<CapabilityRow> {
  const row = await readCapability(control, capability);
  if (!row) throw new CommandError(`${capability} is not in the control store: run "banyan install"`);
  return row;
}

export const configOf = (values: { config: string }): Promise<BanyanConfig> => loadConfig(values.config);

// The sample's parts, started in their order: two database servers, the monolith, the reviews service, the
// shop's data, Banyan's control store and accounts, the facade.
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { controlSchema } from '../capability/control-store.ts';
import { setReadPercent, writeFlagFile } from '../capability/flag-file.ts';
import type { Declaration, Values } from '../capability/options.ts';
import { secretIn } from './accounts.ts';
import { CommandError, configOf } from './command.ts';
import { identityKeysIn } from './identity-keys.ts';
import { keepRunning } from './keep-running.ts';
import { startPrivateServer } from './private-server.ts';
import type { RunFolder } from './run-folder.ts';
import type { Stack } from './stack.ts';
import { runToEnd, startProcess, workerFlags } from './supervise.ts';

const root = join(import.meta.dirname, '..');

export const sampleOptions = {
  config: { type: 'text', default: 'banyan.config.ts', env: 'BANYAN_CONFIG', help: 'The configuration.' },
  json: {
    type: 'flag',
    help: 'Print one line of JSON on standard output when all of it answers, and nothing else.',
  },
  help: { type: 'flag', help: 'Print this.' },
  folder: {
    type: 'text',
    default: 'var',
    env: 'BANYAN_FOLDER',
    help: 'Where databases, secrets, photos and logs are kept.',
  },
  port: {
    type: 'port',
    default: 8080,
    env: 'BANYAN_FACADE_PORT',
    help: "The facade's port; 0 for any free one, as for the others.",
  },
  replicas: {
    type: 'integer',
    default: 1,
    min: 1,
    max: 5,
    help: 'How many facades; each further one is ten ports further, its admin listener, too.',
  },
  adminPort: { type: 'port', default: 8081, env: 'BANYAN_ADMIN_PORT', help: "The facade's admin listener." },
  legacyPort: { type: 'port', default: 8082, env: 'BANYAN_LEGACY_PORT', help: 'The monolith itself.' },
  reviewsPort: {
    type: 'port',
    default: 8083,
    env: 'BANYAN_REVIEWS_PORT',
    help: 'The reviews service itself.',
  },
  wishlistPort: {
    type: 'port',
    default: 8084,
    env: 'BANYAN_WISHLIST_PORT',
    help: 'The wishlist service itself.',
  },
  workerPort: { type: 'port', default: 8085, env: 'BANYAN_WORKER_PORT', help: "The worker's status." },
  legacyDatabasePort: { type: 'port', default: 8306, help: 'The legacy database server.' },
  servicesDatabasePort: { type: 'port', default: 8307, help: "The services' database server." },
  legacyUrl: {
    type: 'url',
    env: 'BANYAN_LEGACY_URL',
    secret: true,
    help: 'An existing legacy database server, mysql://USER:PASSWORD@HOST:PORT, instead of a private one.',
  },
  servicesUrl: {
    type: 'url',
    env: 'BANYAN_SERVICES_URL',
    secret: true,
    help: "An existing services' database server instead of a private one.",
  },
  controlUrl: {
    type: 'url',
    env: 'BANYAN_CONTROL_URL',
    secret: true,
    help: 'An existing server for the control store; by default the legacy one.',
  },
  reviews: {
    type: 'integer',
    default: 5_000,
    min: 1,
    max: 10_000_000,
    help: 'How many reviews the generated shop has.',
  },
  import: { type: 'text', help: 'Load real reviews from this file instead of generating them.' },
  seed: { type: 'integer', default: 1, help: 'Of the generator: the same seed, the same shop.' },
  fresh: { type: 'flag', help: 'Forget the shop of the last time and begin anew.' },
  quiet: { type: 'flag', help: 'No traffic of its own.' },
  story: {
    type: 'flag',
    help: 'Walk reviews from the monolith to their service under traffic, break the service on the way, print a report, and stop; in story/ of the folder, on any ports.',
  },
} as const satisfies Declaration;

export type SampleInput = {
  readonly values: Values<typeof sampleOptions>;
  readonly runFolder: RunFolder;
  /** Things to stop, in the reverse of the order in which they were started. */
  readonly started: { stop(): Promise<void> }[];
  /** How it goes, for people. */
  say(line: string): void;
  /** What went wrong and is being mended. */
  warn(line: string): void;
  /** What cannot be mended: everything must stop. */
  giveUp(message: string): void;
};

/** The ports of each facade. */
const facadePorts = ({ replicas, port, adminPort }: SampleInput['values']) =>
  Array.from({ length: replicas }, (_, index) => ({
    port: port === 0 ? 0 : port + 10 * index,
    adminPort: adminPort === 0 ? 0 : adminPort + 10 * index,
    name: index === 0 ? 'facade' : `facade-${index + 1}`,
  }));

/** A busy port is found before anything is started, and all of them at once. */
async function checkPorts(values: SampleInput['values']): Promise<void> {
  const wanted = [
    ...facadePorts(values).flatMap(
      ({ port, adminPort, name }) =>
        [
          ['--port', port, `the ${name}`],
          ['--admin-port', adminPort, `the admin listener of the ${name}`],
        ] as const,
    ),
    ['--legacy-port', values.legacyPort, 'the monolith'],
    ['--reviews-port', values.reviewsPort, 'the reviews service'],
    ['--wishlist-port', values.wishlistPort, 'the wishlist service'],
    ['--worker-port', values.workerPort, 'the worker'],
    ...(values.legacyUrl
      ? []
      : [['--legacy-database-port', values.legacyDatabasePort, 'the legacy database server'] as const]),
    ...(values.servicesUrl
      ? []
      : [
          ['--services-database-port', values.servicesDatabasePort, "the services' database server"] as const,
        ]),
  ] as const;
  const busy: string[] = [];
  for (const [option, port, what] of wanted) {
    if (port === 0) continue;
    const probe = createServer();
    const { promise, resolve } = Promise.withResolvers<string | undefined>();
    probe
      .once('error', (error) => resolve(error.message))
      .listen(port, '127.0.0.1', () => resolve(undefined));
    const error = await promise;
    if (error === undefined) await new Promise((closed) => probe.close(closed));
    else
      busy.push(
        `port ${port} for ${what} is not free (${error}): stop what listens there, or choose another with ${option} (0: any)`,
      );
  }
  if (busy.length > 0) throw new CommandError(busy.join('\n'));
}

async function databaseServer(
  { values, runFolder, started, say, warn, giveUp }: SampleInput,
  name: 'legacy' | 'services',
): Promise<string> {
  const given = name === 'legacy' ? values.legacyUrl : values.servicesUrl;
  if (given) return given;
  const folder = resolve(values.folder, 'databases', name);
  let port = name === 'legacy' ? values.legacyDatabasePort : values.servicesDatabasePort;
  const start = async () => {
    const server = await startPrivateServer({ folder, runFolder, serverId: name === 'legacy' ? 1 : 2, port });
    port = server.port;
    return server;
  };
  const server = await keepRunning(`the ${name} database server`, start, warn, giveUp);
  started.push(server);
  say(`${name} database server on port ${port}`);
  return server.first.url;
}

/** One of our processes, on the same ports after a restart. */
async function part(
  { runFolder, started, warn, giveUp }: SampleInput,
  name: string,
  run: readonly string[],
  env: Readonly<Record<string, string>>,
  ports: Readonly<Record<string, string>>,
) {
  let fixed: Readonly<Record<string, string>> = {};
  const start = async () => {
    const child = await startProcess({
      name,
      runFolder,
      run,
      env: { ...env, ...fixed },
    });
    // Which variable sets the port that each address has.
    fixed = Object.fromEntries(
      Object.entries(ports).map(([address, variable]) => [variable, new URL(child.said[address] ?? '').port]),
    );
    return child;
  };
  const kept = await keepRunning(name, start, warn, giveUp);
  started.push(kept);
  return kept.first.said;
}

/** The address alone: a process of Banyan's uses the account that was made for it. */
const withoutUser = (url: string) =>
  Object.assign(new URL(url), { username: '', password: '', pathname: '/' }).href;

const withPath = (url: string, path: string) => Object.assign(new URL(url), { pathname: `/${path}` }).href;

async function onServer<T>(
  url: string,
  use: (query: (statement: string) => Promise<RowDataPacket[]>) => Promise<T>,
): Promise<T> {
  const sql = await createConnection({ uri: withPath(url, ''), connectTimeout: 5_000 }).catch(
    (error: Error) => {
      throw new CommandError(`the database server ${new URL(url).host} does not answer: ${error.message}`, {
        cause: error,
      });
    },
  );
  try {
    return await use(async (statement) => (await sql.query<RowDataPacket[]>(statement))[0]);
  } finally {
    sql.destroy();
  }
}

/** An account of the application's: its own, which owns its schema and nothing else, or another one's with fewer rights. */
async function applicationDatabase(
  folder: string,
  server: string,
  schema: string,
  account: string,
  rights = 'ALL',
): Promise<string> {
  const password = secretIn(folder, account);
  await onServer(server, async (query) => {
    await query(`CREATE DATABASE IF NOT EXISTS \`${schema}\``);
    await query(`CREATE USER IF NOT EXISTS '${account}'@'%' IDENTIFIED BY '${password}'`);
    await query(`ALTER USER '${account}'@'%' IDENTIFIED BY '${password}'`);
    await query(`GRANT ${rights} ON \`${schema}\`.* TO '${account}'@'%'`);
  });
  const url = new URL(withPath(server, schema));
  url.username = account;
  url.password = password;
  return url.href;
}

/** Products that people look at: some with many reviews. */
export const popularProducts = (legacyUrl: string): Promise<number[]> =>
  onServer(legacyUrl, async (query) =>
    (
      await query(
        `SELECT PRD_NO FROM \`${new URL(legacyUrl).pathname.slice(1)}\`.TB_RVW_MST GROUP BY PRD_NO ORDER BY COUNT(*) DESC, PRD_NO LIMIT 50`,
      )
    ).map(({ PRD_NO }) => Number(PRD_NO)),
  );

/** Starts all of it. @throws CommandError and the like, with what to do */
export async function startSample(input: SampleInput): Promise<Stack> {
  const { values, runFolder, say } = input;
  const config = await configOf(values);
  await checkPorts(values);
  const [legacyServer, servicesServer] = await Promise.all([
    databaseServer(input, 'legacy'),
    databaseServer(input, 'services'),
  ]);
  const controlServer = values.controlUrl ?? legacyServer;
  const databaseOf = (name: string) => {
    const capability = config.capabilities.find((each) => each.name === name);
    if (!capability)
      throw new CommandError(`${values.config} has no capability "${name}", which the sample runs`);
    return capability.service.database;
  };
  const [shopUrl, reviewsUrl, wishlistUrl] = await Promise.all([
    applicationDatabase(values.folder, legacyServer, config.legacy.database, 'shop_app'),
    applicationDatabase(values.folder, servicesServer, databaseOf('reviews'), 'reviews_app'),
    applicationDatabase(values.folder, servicesServer, databaseOf('wishlist'), 'wishlist_app'),
  ]);
  const batchUrl = await applicationDatabase(
    values.folder,
    legacyServer,
    config.legacy.database,
    'shop_batch',
    'SELECT, INSERT, UPDATE, DELETE',
  );
  const identityKeys = await identityKeysIn(values.folder);
  const monolithEnv = {
    LEGACY_DATABASE_URL: shopUrl,
    LEGACY_PORT: String(values.legacyPort),
    LEGACY_UPLOADS: resolve(values.folder, 'uploads'),
  };
  const [monolith, reviewsService, wishlistService] = await Promise.all([
    part(input, 'monolith', [join(root, 'legacy-monolith', 'server.ts')], monolithEnv, {
      listening: 'LEGACY_PORT',
    }),
    part(
      input,
      'reviews',
      [join(root, 'extracted', 'reviews', 'server.ts')],
      {
        REVIEWS_DATABASE_URL: reviewsUrl,
        REVIEWS_PORT: String(values.reviewsPort),
        REVIEWS_IDENTITY_KEYS: identityKeys.publicKeys,
      },
      { listening: 'REVIEWS_PORT' },
    ),
    part(
      input,
      'wishlist',
      [join(root, 'extracted', 'wishlist', 'server.ts')],
      { WISHLIST_DATABASE_URL: wishlistUrl, WISHLIST_PORT: String(values.wishlistPort) },
      { listening: 'WISHLIST_PORT' },
    ),
  ]);
  const legacy = monolith.listening ?? '';
  const services = { reviews: reviewsService.listening ?? '', wishlist: wishlistService.listening ?? '' };
  say(
    `monolith at ${legacy}, reviews service at ${services.reviews}, wishlist service at ${services.wishlist}`,
  );

  const seedArguments = values.import
    ? ['--import', values.import]
    : ['--reviews', String(values.reviews), '--seed', String(values.seed)];
  await runToEnd({
    name: 'the seed',
    run: [join(root, 'legacy-monolith', 'seed.ts'), ...seedArguments],
    env: monolithEnv,
    runFolder,
  });

  const installed = {
    BANYAN_LEGACY_URL: withPath(legacyServer, ''),
    BANYAN_SERVICES_URL: withPath(servicesServer, ''),
    BANYAN_CONTROL_URL: withPath(controlServer, ''),
  };
  await runToEnd({
    name: 'banyan install',
    runFolder,
    env: installed,
    run: [
      join(root, 'scripts', 'banyan.ts'),
      'install',
      '--json',
      '--config',
      values.config,
      '--folder',
      values.folder,
      '--actor',
      'npm start',
    ],
  });
  say('control store, accounts and positions are in place');
  const worker = await part(
    input,
    'worker',
    [
      ...workerFlags,
      join(root, 'scripts', 'banyan.ts'),
      'worker',
      '--config',
      values.config,
      '--folder',
      values.folder,
    ],
    {
      BANYAN_LEGACY_URL: withoutUser(legacyServer),
      BANYAN_SERVICES_URL: withoutUser(servicesServer),
      BANYAN_WORKER_PORT: String(values.workerPort),
    },
    { listening: 'BANYAN_WORKER_PORT' },
  );
  say(`worker at ${worker.listening ?? ''}`);

  const flags = resolve(values.folder, 'flags.json');
  if (!existsSync(flags)) {
    writeFlagFile(flags, { version: 2, features: [] });
    for (const { name } of config.capabilities) setReadPercent(flags, name, 0);
  }
  const token = secretIn(values.folder, 'admin-token');
  const asFacade = (server: string, path: string) => {
    const url = new URL(withPath(server, path));
    url.username = 'banyan_facade';
    url.password = secretIn(values.folder, 'banyan_facade');
    return url.href;
  };
  const facades = await Promise.all(
    facadePorts(values).map(async ({ name, port, adminPort }) => {
      const said = await part(
        input,
        name,
        [join(root, 'facade', 'server.ts')],
        {
          BANYAN_CONFIG: values.config,
          BANYAN_FACADE_PORT: String(port),
          BANYAN_ADMIN_PORT: String(adminPort),
          BANYAN_ADMIN_TOKEN: token,
          BANYAN_CONTROL_URL: asFacade(controlServer, controlSchema),
          BANYAN_LEGACY_URL: asFacade(legacyServer, ''),
          BANYAN_SERVICES_URL: asFacade(servicesServer, ''),
          BANYAN_IDENTITY_KEY: identityKeys.privateKey,
          BANYAN_FLAGS: flags,
          BANYAN_UPSTREAMS: `legacy=${legacy},reviews=${services.reviews},wishlist=${services.wishlist}`,
        },
        { listening: 'BANYAN_FACADE_PORT', admin: 'BANYAN_ADMIN_PORT' },
      );
      return { url: said.listening ?? '', admin: said.admin ?? '' };
    }),
  );
  const [first] = facades;
  return {
    ready: true,
    facade: first?.url ?? '',
    admin: first?.admin ?? '',
    facades,
    legacy,
    services,
    worker: worker.listening ?? '',
    databases: {
      legacy: withPath(legacyServer, config.legacy.database),
      services: withPath(servicesServer, databaseOf('reviews')),
      control: withPath(controlServer, controlSchema),
    },
    batch: batchUrl,
    token,
    flags,
  };
}

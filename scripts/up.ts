import { existsSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { controlSchema } from '../capability/control-store.ts';
import { setReadPercent, writeFlagFile } from '../capability/flag-file.ts';
import {
  type Declaration,
  describeOptions,
  OptionsError,
  parseOptions,
  type Values,
} from '../capability/options.ts';
import { accountGrants, secretIn } from './accounts.ts';
import { CommandError, configOf } from './command.ts';
import { PrivateServerError, startPrivateServer } from './private-server.ts';
import { claimRunFolder, type RunFolder, RunFolderBusyError } from './run-folder.ts';
import { removeStack, type Stack, writeStack } from './stack.ts';
import { ProcessError, runToEnd, startProcess } from './supervise.ts';
import { startTraffic } from './traffic.ts';

const root = join(import.meta.dirname, '..');

const options = {
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
  adminPort: { type: 'port', default: 8081, env: 'BANYAN_ADMIN_PORT', help: "The facade's admin listener." },
  legacyPort: { type: 'port', default: 8082, env: 'BANYAN_LEGACY_PORT', help: 'The monolith itself.' },
  reviewsPort: {
    type: 'port',
    default: 8083,
    env: 'BANYAN_REVIEWS_PORT',
    help: 'The reviews service itself.',
  },
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
} as const satisfies Declaration;

type Up = {
  readonly values: Values<typeof options>;
  readonly runFolder: RunFolder;
  readonly say: (line: string) => void;
};

/** Things to stop, in the reverse of the order in which they were started. */
const started: { name: string; stop(): Promise<void> }[] = [];

async function stopAll(folder: string): Promise<void> {
  removeStack(folder);
  for (let each = started.pop(); each; each = started.pop()) await each.stop();
}

/** A busy port is found before anything is started, and all of them at once. */
async function checkPorts(values: Up['values']): Promise<void> {
  const wanted = [
    ['--port', values.port, 'the facade'],
    ['--admin-port', values.adminPort, 'the admin listener'],
    ['--legacy-port', values.legacyPort, 'the monolith'],
    ['--reviews-port', values.reviewsPort, 'the reviews service'],
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
  up: Up,
  name: 'legacy' | 'services',
  given: string | undefined,
  port: number,
  serverId: number,
): Promise<string> {
  if (given) return given;
  const server = await startPrivateServer({
    folder: resolve(up.values.folder, 'databases', name),
    runFolder: up.runFolder,
    serverId,
    port,
  });
  started.push({ name: `${name} database server`, stop: server.stop });
  up.say(`${name} database server on port ${server.port}`);
  return server.url;
}

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

/** The application's own account, which owns its schema and nothing else. */
async function applicationDatabase(
  folder: string,
  server: string,
  schema: string,
  account: string,
): Promise<string> {
  const password = secretIn(folder, account);
  await onServer(server, async (query) => {
    await query(`CREATE DATABASE IF NOT EXISTS \`${schema}\``);
    await query(`CREATE USER IF NOT EXISTS '${account}'@'%' IDENTIFIED BY '${password}'`);
    await query(`ALTER USER '${account}'@'%' IDENTIFIED BY '${password}'`);
    await query(`GRANT ALL ON \`${schema}\`.* TO '${account}'@'%'`);
  });
  const url = new URL(withPath(server, schema));
  url.username = account;
  url.password = password;
  return url.href;
}

async function startStack(up: Up): Promise<Stack> {
  const { values, runFolder, say } = up;
  const config = await configOf(values);
  await checkPorts(values);
  const [legacyServer, servicesServer] = await Promise.all([
    databaseServer(up, 'legacy', values.legacyUrl, values.legacyDatabasePort, 1),
    databaseServer(up, 'services', values.servicesUrl, values.servicesDatabasePort, 2),
  ]);
  const controlServer = values.controlUrl ?? legacyServer;
  const reviews = config.capabilities.find(({ name }) => name === 'reviews');
  if (!reviews)
    throw new CommandError(`${values.config} has no capability "reviews", which is what the sample runs`);
  const [shopUrl, reviewsUrl] = await Promise.all([
    applicationDatabase(values.folder, legacyServer, config.legacy.database, 'shop_app'),
    applicationDatabase(values.folder, servicesServer, reviews.service.database, 'reviews_app'),
  ]);
  const fails = (message: string) => {
    process.stderr.write(`${message}\nstopping everything\n`);
    process.exitCode = 1;
    stopAll(values.folder).then(() => process.exit());
  };
  const supervise = async (name: string, run: string[], env: Record<string, string>) => {
    const child = await startProcess({ name, runFolder, run, env, onUnexpectedExit: fails });
    started.push(child);
    return child.said;
  };
  const monolithEnv = {
    LEGACY_DATABASE_URL: shopUrl,
    LEGACY_PORT: String(values.legacyPort),
    LEGACY_UPLOADS: resolve(values.folder, 'uploads'),
  };
  const [monolith, service] = await Promise.all([
    supervise('monolith', [join(root, 'legacy-monolith', 'server.ts')], monolithEnv),
    supervise('reviews', [join(root, 'extracted', 'reviews', 'server.ts')], {
      REVIEWS_DATABASE_URL: reviewsUrl,
      REVIEWS_PORT: String(values.reviewsPort),
    }),
  ]);
  const legacy = monolith.listening ?? '';
  const services = { reviews: service.listening ?? '' };
  say(`monolith at ${legacy}, reviews service at ${services.reviews}`);

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
  say('control store and accounts are in place');

  const flags = resolve(values.folder, 'flags.json');
  if (!existsSync(flags)) {
    writeFlagFile(flags, { version: 2, features: [] });
    for (const { name } of config.capabilities) setReadPercent(flags, name, 0);
  }
  const token = secretIn(values.folder, 'admin-token');
  const facadeAccount =
    accountGrants(config).find(({ account }) => account === 'banyan_facade')?.account ?? 'banyan_facade';
  const controlUrl = new URL(withPath(controlServer, controlSchema));
  controlUrl.username = facadeAccount;
  controlUrl.password = secretIn(values.folder, facadeAccount);
  const facade = await supervise('facade', [join(root, 'facade', 'server.ts')], {
    BANYAN_CONFIG: values.config,
    BANYAN_FACADE_PORT: String(values.port),
    BANYAN_ADMIN_PORT: String(values.adminPort),
    BANYAN_ADMIN_TOKEN: token,
    BANYAN_CONTROL_URL: controlUrl.href,
    BANYAN_FLAGS: flags,
    BANYAN_UPSTREAMS: `legacy=${legacy},reviews=${services.reviews}`,
  });
  return {
    ready: true,
    facade: facade.listening ?? '',
    admin: facade.admin ?? '',
    legacy,
    services,
    databases: {
      legacy: withPath(legacyServer, config.legacy.database),
      services: withPath(servicesServer, reviews.service.database),
      control: withPath(controlServer, controlSchema),
    },
    token,
    flags,
  };
}

/** Products that people look at: some with many reviews. */
const popularProducts = (legacyUrl: string): Promise<number[]> =>
  onServer(legacyUrl, async (query) =>
    (
      await query(
        `SELECT PRD_NO FROM \`${new URL(legacyUrl).pathname.slice(1)}\`.TB_RVW_MST GROUP BY PRD_NO ORDER BY COUNT(*) DESC, PRD_NO LIMIT 50`,
      )
    ).map(({ PRD_NO }) => Number(PRD_NO)),
  );

const guide = (stack: Stack, folder: string, product: number) => `
The shop is at ${stack.facade} (behind it the monolith at ${stack.legacy}).

  facade         ${stack.facade}
  admin          ${stack.admin}   curl -H "Authorization: Bearer ${stack.token}" ${stack.admin}/api/status
  reviews        ${stack.services.reviews}   the extracted service
  legacy DB      mysql://${new URL(stack.databases.legacy).host}   passwords are in ${folder}/secrets and ${folder}/databases/*/root-password
  services' DB   mysql://${new URL(stack.databases.services).host}
  logs           ${folder}/run/*.log

Try, in another terminal:

  curl "${stack.facade}/api/review/list.do?prdNo=${product}"
  npx banyan status
  npx banyan copy reviews                  the service gets the data
  npx banyan shift reviews --reads 50      half of the clients read from it, within a second
  npx banyan status
  npx banyan shift reviews --reads 0       and back
  open ${stack.facade}/products/${product}   log in as member1, password shop1234

Ctrl-C stops all of it.`;

async function main(argv: readonly string[]): Promise<void> {
  const { values, words } = parseOptions(options, argv, process.env);
  if (values.help) {
    console.log(
      `npm start -- [OPTION ...]\n\nRuns the whole sample on this machine.\n\nOptions:\n${describeOptions(options)}`,
    );
    return;
  }
  if (words.length > 0)
    throw new CommandError(`npm start takes options only: what is "${words.join(' ')}"?`, { exitCode: 2 });
  if (values.import && !existsSync(values.import))
    throw new CommandError(`--import: there is no file ${values.import}`, { exitCode: 2 });
  const runFolder = await claimRunFolder(resolve(values.folder, 'run'));
  if (values.fresh)
    for (const name of ['databases', 'uploads', 'flags.json'])
      rmSync(join(values.folder, name), { recursive: true, force: true });
  const say = (line: string) => {
    if (!values.json) process.stderr.write(`${line}\n`);
  };
  const { promise: asked, resolve: askToStop } = Promise.withResolvers<void>();
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => askToStop());
  const running = (async () => {
    const stack = await startStack({ values, runFolder, say });
    const products = await popularProducts(stack.databases.legacy);
    writeStack(values.folder, stack);
    if (!values.quiet) {
      const traffic = startTraffic(stack.facade, products);
      started.push({ name: 'traffic', stop: traffic.stop });
    }
    console.log(values.json ? JSON.stringify(stack) : guide(stack, values.folder, products[0] ?? 1));
  })();
  try {
    await Promise.race([running, asked]);
    await asked;
    say('stopping …');
  } finally {
    await stopAll(values.folder);
    // Asked to stop while still starting: what was on its way is remembered, too.
    await runFolder.endChildren();
  }
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (error instanceof RunFolderBusyError)
    process.stderr.write(
      `npm start: a stack is running already (process ${error.ownerPid}, in ${error.folder}): stop it first, or give another --folder and ports\n`,
    );
  else if (
    error instanceof CommandError ||
    error instanceof OptionsError ||
    error instanceof ProcessError ||
    error instanceof PrivateServerError ||
    (error instanceof Error && error.name === 'ConfigError')
  )
    process.stderr.write(`npm start: ${error.message}\n`);
  else throw error;
  process.exitCode = 1;
}
process.exit();

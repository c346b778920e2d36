// The sample's parts, started in their order: two database servers, the monolith and the services, the shop's data, Banyan's control
// store and accounts, the worker, the facades.
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { BanyanConfig } from '../capability/capability.ts';
import { controlSchema } from '../capability/control-store.ts';
import { setReadPercent, writeFlagFile } from '../capability/flag-file.ts';
import { secretIn } from './accounts.ts';
import { CommandError, configOf } from './command.ts';
import { type IdentityKeys, identityKeysIn } from './identity-keys.ts';
import { keepRunning } from './keep-running.ts';
import { applicationDatabase, databaseServer, withoutUser, withPath } from './sample-databases.ts';
import { checkPorts, facadePorts, type SampleInput } from './sample-input.ts';
import type { Stack } from './stack.ts';
import { facadeFlags, runToEnd, startProcess, workerFlags } from './supervise.ts';

const root = join(import.meta.dirname, '..');

/** URLs, with accounts that may do everything. */
type Servers = { readonly legacy: string; readonly services: string; readonly control: string };

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

/** @throws CommandError when the configuration has none of that name */
function databaseOf({ capabilities }: BanyanConfig, name: string, file: string): string {
  const capability = capabilities.find((each) => each.name === name);
  if (!capability) throw new CommandError(`${file} has no capability "${name}", which the sample runs`);
  return capability.service.database;
}

/** The monolith with its data, and the services, which have none yet. */
async function startApplications(
  input: SampleInput,
  config: BanyanConfig,
  servers: Servers,
  identityKeys: IdentityKeys,
) {
  const { values, runFolder } = input;
  const { folder } = values;
  const serviceDatabase = (name: string) => databaseOf(config, name, values.config);
  const [shopUrl, reviewsUrl, wishlistUrl] = await Promise.all([
    applicationDatabase(folder, servers.legacy, config.legacy.database, 'shop_app'),
    applicationDatabase(folder, servers.services, serviceDatabase('reviews'), 'reviews_app'),
    applicationDatabase(folder, servers.services, serviceDatabase('wishlist'), 'wishlist_app'),
  ]);
  const monolithEnv = {
    LEGACY_DATABASE_URL: shopUrl,
    LEGACY_PORT: String(values.legacyPort),
    LEGACY_UPLOADS: resolve(folder, 'uploads'),
  };
  const [monolith, reviews, wishlist] = await Promise.all([
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
  const seedArguments = values.import
    ? ['--import', values.import]
    : ['--reviews', String(values.reviews), '--seed', String(values.seed)];
  await runToEnd({
    name: 'the seed',
    run: [join(root, 'legacy-monolith', 'seed.ts'), ...seedArguments],
    env: monolithEnv,
    runFolder,
  });
  return {
    legacy: monolith.listening ?? '',
    services: { reviews: reviews.listening ?? '', wishlist: wishlist.listening ?? '' },
  };
}

async function install({ values, runFolder }: SampleInput, servers: Servers): Promise<void> {
  const { config, folder } = values;
  const words = ['install', '--json', '--config', config, '--folder', folder, '--actor', 'npm start'];
  await runToEnd({
    name: 'banyan install',
    runFolder,
    env: {
      BANYAN_LEGACY_URL: withPath(servers.legacy, ''),
      BANYAN_SERVICES_URL: withPath(servers.services, ''),
      BANYAN_CONTROL_URL: withPath(servers.control, ''),
    },
    run: [join(root, 'scripts', 'banyan.ts'), ...words],
  });
}

async function startWorker(input: SampleInput, servers: Servers): Promise<string> {
  const { config, folder, workerPort } = input.values;
  const words = ['worker', '--config', config, '--folder', folder];
  const { listening } = await part(
    input,
    'worker',
    [...workerFlags, join(root, 'scripts', 'banyan.ts'), ...words],
    {
      BANYAN_LEGACY_URL: withoutUser(servers.legacy),
      BANYAN_SERVICES_URL: withoutUser(servers.services),
      BANYAN_WORKER_PORT: String(workerPort),
    },
    { listening: 'BANYAN_WORKER_PORT' },
  );
  return listening ?? '';
}

/** @returns its path; those that there are already stay as they are */
function flagsFor({ values }: SampleInput, { capabilities }: BanyanConfig): string {
  const flags = resolve(values.folder, 'flags.json');
  if (existsSync(flags)) return flags;
  writeFlagFile(flags, { version: 2, features: [] });
  for (const { name } of capabilities) setReadPercent(flags, name, 0);
  return flags;
}

function startFacades(
  input: SampleInput,
  servers: Servers,
  given: Readonly<Record<string, string>>,
): Promise<{ url: string; admin: string }[]> {
  const { values } = input;
  const asFacade = (server: string, path: string) => {
    const url = new URL(withPath(server, path));
    url.username = 'banyan_facade';
    url.password = secretIn(values.folder, 'banyan_facade');
    return url.href;
  };
  const start = async ({ name, port, adminPort }: ReturnType<typeof facadePorts>[number]) => {
    const said = await part(
      input,
      name,
      [...facadeFlags, join(root, 'facade', 'server.ts')],
      {
        ...given,
        BANYAN_CONFIG: values.config,
        BANYAN_FACADE_PORT: String(port),
        BANYAN_ADMIN_PORT: String(adminPort),
        BANYAN_CONTROL_URL: asFacade(servers.control, controlSchema),
        BANYAN_LEGACY_URL: asFacade(servers.legacy, ''),
        BANYAN_SERVICES_URL: asFacade(servers.services, ''),
      },
      { listening: 'BANYAN_FACADE_PORT', admin: 'BANYAN_ADMIN_PORT' },
    );
    return { url: said.listening ?? '', admin: said.admin ?? '' };
  };
  return Promise.all(facadePorts(values).map(start));
}

/** Starts all of it. @throws CommandError and the like, with what to do */
export async function startSample(input: SampleInput): Promise<Stack> {
  const { values, say } = input;
  const config = await configOf(values);
  await checkPorts(values);
  const [legacyServer, servicesServer] = await Promise.all([
    databaseServer(input, 'legacy'),
    databaseServer(input, 'services'),
  ]);
  const servers: Servers = {
    legacy: legacyServer,
    services: servicesServer,
    control: values.controlUrl ?? legacyServer,
  };
  const batch = await applicationDatabase(
    values.folder,
    servers.legacy,
    config.legacy.database,
    'shop_batch',
    'SELECT, INSERT, UPDATE, DELETE',
  );
  const identityKeys = await identityKeysIn(values.folder);
  const { legacy, services } = await startApplications(input, config, servers, identityKeys);
  say(
    `monolith at ${legacy}, reviews service at ${services.reviews}, wishlist service at ${services.wishlist}`,
  );
  await install(input, servers);
  say('control store, accounts and positions are in place');
  const worker = await startWorker(input, servers);
  say(`worker at ${worker}`);
  const flags = flagsFor(input, config);
  const token = secretIn(values.folder, 'admin-token');
  const facades = await startFacades(input, servers, {
    BANYAN_ADMIN_TOKEN: token,
    BANYAN_IDENTITY_KEY: identityKeys.privateKey,
    BANYAN_FLAGS: flags,
    BANYAN_UPSTREAMS: `legacy=${legacy},reviews=${services.reviews},wishlist=${services.wishlist}`,
  });
  const [first] = facades;
  return {
    ready: true,
    facade: first?.url ?? '',
    admin: first?.admin ?? '',
    facades,
    legacy,
    services,
    worker,
    databases: {
      legacy: withPath(servers.legacy, config.legacy.database),
      services: withPath(servers.services, databaseOf(config, 'reviews', values.config)),
      control: withPath(servers.control, controlSchema),
    },
    batch,
    token,
    flags,
  };
}

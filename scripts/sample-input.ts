// What `npm start` may be told, and the ports that it needs.
import { createServer } from 'node:net';
import type { Declaration, Values } from '../capability/options.ts';
import { CommandError } from './command.ts';
import type { RunFolder } from './run-folder.ts';

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
export const facadePorts = ({ replicas, port, adminPort }: SampleInput['values']) =>
  Array.from({ length: replicas }, (_, index) => ({
    port: port === 0 ? 0 : port + 10 * index,
    adminPort: adminPort === 0 ? 0 : adminPort + 10 * index,
    name: index === 0 ? 'facade' : `facade-${index + 1}`,
  }));

/** A busy port is found before anything is started, and all of them at once. */
export async function checkPorts(values: SampleInput['values']): Promise<void> {
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

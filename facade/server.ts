// The facade's process: options, configuration, listeners, signals.
//   node facade/server.ts --help
import { randomUUID } from 'node:crypto';
import { BlockList, isIP, isIPv6 } from 'node:net';
import { createConnection } from 'mysql2/promise';
import type { Logger } from 'pino';
import { type BanyanConfig, readFlag, shadowFlag } from '../capability/capability.ts';
import { readStandings } from '../capability/control-store.ts';
import { FlagFileError } from '../capability/flag-file.ts';
import { ConfigError, loadConfig } from '../capability/load-config.ts';
import { createLog } from '../capability/log.ts';
import { describeOptions, OptionsError } from '../capability/options.ts';
import type { SpanSink } from '../capability/span.ts';
import { createAdmin } from './admin.ts';
import {
  type ControlConnection,
  type ControlView,
  noControlStore,
  watchControlStore,
} from './control-view.ts';
import { StartError } from './errors.ts';
import { createFacade, type Facade } from './facade.ts';
import { type Flags, fileFlags, unleashFlags } from './flags.ts';
import { createGuard, returnsTo } from './guard.ts';
import { readSigningKey, type SigningKey } from './identity-bridge.ts';
import { createMetrics, type Metrics } from './metrics.ts';
import { declaration, type FacadeOptions, parseFacadeOptions } from './options.ts';
import { createOwners, sideUrls, type WatchedOwners } from './owners.ts';
import { createParity } from './parity.ts';
import { createStatus } from './status.ts';
import { Tallies } from './tallies.ts';
import { createTracing } from './tracing.ts';
import { relocated } from './upstreams.ts';
import { warmUp } from './warm-up.ts';

/**
 * A name that is given more than once has as many instances.
 * @throws StartError for what is not `name=url` with a name of the configuration
 */
export function resolveUpstreams(config: BanyanConfig, given: readonly string[]): BanyanConfig['upstreams'] {
  const origins = new Map<string, string[]>();
  for (const pair of given) {
    const at = pair.indexOf('=');
    const [name, url] = [pair.slice(0, at), pair.slice(at + 1)];
    if (at < 1 || !URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
      throw new StartError(
        `--upstream "${pair}" is not name=http://host:port`,
        'several are separated by commas',
      );
    if (!(name in config.upstreams))
      throw new StartError(
        `--upstream names "${name}", which the configuration does not`,
        `it has ${Object.keys(config.upstreams).join(', ')}`,
      );
    origins.set(name, [...(origins.get(name) ?? []), new URL(url).origin]);
  }
  const upstreams = { ...config.upstreams };
  for (const [name, list] of origins) upstreams[name] = relocated(config.upstreams[name] ?? list, list);
  return upstreams;
}

/** @throws StartError for what is neither an address nor a network */
export function parseTrustedProxies(entries: readonly string[]): BlockList {
  const list = new BlockList();
  for (const entry of entries) {
    const [address = '', bits] = entry.split('/');
    const family = isIPv6(address) ? 'ipv6' : 'ipv4';
    const bitsMax = family === 'ipv6' ? 128 : 32;
    if (isIP(address) === 0 || (bits !== undefined && !(/^\d+$/.test(bits) && Number(bits) <= bitsMax)))
      throw new StartError(`--trusted-proxies: "${entry}" is no address`, 'write 10.1.2.3 or 10.0.0.0/8');
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  return list;
}

async function openFlags(options: FacadeOptions, config: BanyanConfig, log: Logger): Promise<Flags> {
  const { flags: file, unleashUrl, unleashToken, unleashPollMs } = options;
  const asked = config.capabilities.flatMap(({ name, context = {} }) => [
    { name: readFlag(name), properties: Object.keys(context) },
    { name: shadowFlag(name), properties: [] },
  ]);
  if (unleashUrl !== undefined) {
    const { protocol, username, password } = new URL(unleashUrl);
    if (!/^https?:$/.test(protocol) || username !== '' || password !== '')
      throw new StartError(
        'UNLEASH_URL is not http(s)://HOST[:PORT]/api',
        'it names no user; the token is in UNLEASH_TOKEN',
      );
    if (unleashToken === undefined)
      throw new StartError(
        'UNLEASH_URL is set, and UNLEASH_TOKEN is not',
        'set UNLEASH_TOKEN or UNLEASH_TOKEN_FILE to a client token',
      );
    return unleashFlags(
      {
        url: unleashUrl,
        token: unleashToken,
        pollMs: unleashPollMs,
        refusedRetryMs: 30_000,
        backup: options.flagsBackup,
      },
      asked,
      log,
    );
  }
  if (file === undefined)
    throw new StartError('there are no flags', 'give --flags FILE, or UNLEASH_URL and UNLEASH_TOKEN');
  try {
    return await fileFlags(file, asked, log);
  } catch (cause) {
    if (!(cause instanceof FlagFileError)) throw cause;
    throw new StartError(`flag file ${file} ${cause.message}`, 'mend it, then start again', cause);
  }
}

async function connectControlStore(uri: string): Promise<ControlConnection> {
  const connection = await createConnection({
    uri,
    connectTimeout: 2_000,
    dateStrings: true,
    supportBigNumbers: true,
    bigNumberStrings: true,
  });
  connection.on('error', () => {}); // the next read says it
  return { read: () => readStandings(connection), close: () => connection.destroy() };
}

const openControl = (url: string | undefined, log: Logger): Promise<ControlView> =>
  url === undefined
    ? Promise.resolve(noControlStore)
    : watchControlStore(() => connectControlStore(url), log);

/** @throws StartError when there is a control store, and a server of databases is missing */
function openOwners(
  options: FacadeOptions,
  config: BanyanConfig,
  metrics: Metrics,
  log: Logger,
): WatchedOwners | undefined {
  const { controlUrl } = options;
  if (controlUrl === undefined) return undefined;
  const names = config.capabilities.map(({ name }) => name);
  return createOwners(names, sideUrls(options), controlUrl, options, metrics, log);
}

/** @throws StartError when the configuration says whose session it is, and nothing could tell a service */
async function openIdentityKey(
  { identityKey, controlUrl }: FacadeOptions,
  config: BanyanConfig,
): Promise<SigningKey | undefined> {
  if (identityKey !== undefined) return readSigningKey(identityKey);
  if (config.legacy.identity === undefined || controlUrl === undefined) return undefined;
  throw new StartError(
    'the configuration has a bridge of identities (legacy.identity), and there is no key to sign with',
    'set BANYAN_IDENTITY_KEY or BANYAN_IDENTITY_KEY_FILE to a private JWK for ES256',
  );
}

/** The packages of OpenTelemetry are loaded by who traces only. */
async function openSpans({ traceUrl }: FacadeOptions, log: Logger): Promise<SpanSink | undefined> {
  if (traceUrl === undefined) return undefined;
  const { openSpanSink } = await import('../capability/otlp.ts');
  return openSpanSink(traceUrl, 'banyan-facade', log);
}

/** Twice the same signal, or one after the other, means at once. */
function stopOnSignals(facade: Facade, stop: () => Promise<void>, log: Logger): void {
  let stopping = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => {
      if (stopping) return facade.stopNow();
      stopping = true;
      log.info({ signal }, 'stopping');
      stop().then(
        () => log.info('stopped'),
        (error) => {
          log.fatal({ err: error }, 'the stop failed');
          process.exit(1);
        },
      );
    });
}

async function run(options: FacadeOptions): Promise<void> {
  const log = createLog(options.logLevel);
  const config = await loadConfig(options.config);
  const upstreams = resolveUpstreams(config, options.upstream);
  const trustedProxies = parseTrustedProxies(options.trustedProxies);
  const identityKey = await openIdentityKey(options, config);
  const metrics = createMetrics();
  const spans = await openSpans(options, log);
  if (spans) metrics.watchSpans(spans);
  const { traceRatio: ratio, traceTrustClients: trustClients } = options;
  const tracing = spans && createTracing({ ratio, trustClients }, spans);
  const owners = openOwners(options, config, metrics, log);
  const flags = await openFlags(options, config, log);
  const store = await openControl(options.controlUrl, log);
  const parity = createParity(options.shadowExamplesMsMax);
  const tallies = new Tallies(config.capabilities);
  const name = owners?.replica.name ?? randomUUID();
  const guard = createGuard({
    capabilities: config.capabilities,
    control: store,
    tallies,
    write: returnsTo(options.controlUrl ?? '', name),
    metrics,
    log,
  });
  const control = { ...store, standing: guard.standing };
  const deps = { config, upstreams, flags, control, owners, metrics, parity, tallies, tracing, name, log };
  const facade = await createFacade({ ...deps, limits: options, trustedProxies, identityKey });
  const admin = createAdmin({
    token: options.adminToken ?? '',
    feed: { token: options.flagsToken, read: () => flags.shared() },
    registry: metrics.registry,
    log,
    look: async (capability, waitMs) => owners?.look(capability, waitMs),
    ...createStatus({ ...deps, facade }),
  });
  const stop = async () => {
    await facade.stop();
    // Not sooner: until its last write is over, the others must know of this replica.
    await owners?.stop();
    await admin.stop();
    await guard.stop();
    await control.stop();
    await flags.stop();
    await spans?.stop();
  };
  try {
    const adminUrl = await admin.start(options.adminHost, options.adminPort);
    // What only makes it faster keeps nobody from being served.
    await warmUp({ ...deps, limits: options, trustedProxies, identityKey }, options.warmUpMsMax).catch(
      (error) => log.warn({ err: error }, 'the facade could not warm up: its first answers will be slower'),
    );
    await owners?.start(options.adminPublicUrl ?? adminUrl);
    const url = await facade.start(options.host, options.port);
    stopOnSignals(facade, stop, log);
    console.log(JSON.stringify({ listening: url, admin: adminUrl }));
  } catch (error) {
    await stop();
    throw error;
  }
}

function explain(error: unknown): string {
  if (error instanceof StartError) return `${error.message}: ${error.hint}`;
  if (error instanceof OptionsError || error instanceof ConfigError) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

if (import.meta.main) {
  try {
    if (process.argv.includes('--help')) console.log(`The routing proxy.\n\n${describeOptions(declaration)}`);
    else await run(parseFacadeOptions(process.argv.slice(2), process.env));
  } catch (error) {
    console.error(`banyan facade: ${explain(error)}`);
    process.exit(1);
  }
}

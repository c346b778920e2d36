// The facade's options; README's table and --help derive from this.
import { parseOptions } from '../capability/options.ts';

const mib = 1024 * 1024;

export const declaration = {
  config: {
    type: 'text',
    default: 'banyan.config.ts',
    env: 'BANYAN_CONFIG',
    help: 'the configuration module',
  },
  port: { type: 'port', default: 8080, env: 'BANYAN_FACADE_PORT', help: 'where clients connect' },
  host: {
    type: 'text',
    default: '127.0.0.1',
    env: 'BANYAN_FACADE_HOST',
    help: 'the address that clients connect to; 0.0.0.0 for all',
  },
  adminPort: { type: 'port', default: 8081, env: 'BANYAN_ADMIN_PORT', help: 'health, metrics and status' },
  adminHost: {
    type: 'text',
    default: '127.0.0.1',
    env: 'BANYAN_ADMIN_HOST',
    help: 'the address of the admin listener',
  },
  adminToken: {
    type: 'text',
    env: 'BANYAN_ADMIN_TOKEN',
    secret: true,
    help: 'who shows it may use the admin listener; at least 16 characters',
  },
  controlUrl: {
    type: 'url',
    env: 'BANYAN_CONTROL_URL',
    secret: true,
    help: 'the control store, mysql://user:password@host:port/schema; needs the two servers of databases, too',
  },
  legacyUrl: {
    type: 'url',
    env: 'BANYAN_LEGACY_URL',
    secret: true,
    help: 'the legacy database server, mysql://user:password@host:port: its fences and holds are read there',
  },
  servicesUrl: {
    type: 'url',
    env: 'BANYAN_SERVICES_URL',
    secret: true,
    help: "the services' database server, likewise",
  },
  adminPublicUrl: {
    type: 'url',
    env: 'BANYAN_ADMIN_PUBLIC_URL',
    help: "the admin listener as the CLI and other machines reach it; by default the listener's own address",
  },
  identityKey: {
    type: 'text',
    env: 'BANYAN_IDENTITY_KEY',
    secret: true,
    help: 'a private JWK (ES256) that signs what services are told of a user',
  },
  flags: {
    type: 'text',
    env: 'BANYAN_FLAGS',
    help: 'a flag file in the schema of Unleash clients; the embedded default',
  },
  unleashUrl: {
    type: 'url',
    env: 'UNLEASH_URL',
    help: 'the API of an Unleash server, instead of a flag file',
  },
  unleashToken: {
    type: 'text',
    env: 'UNLEASH_TOKEN',
    secret: true,
    help: 'a client token of that Unleash server',
  },
  flagsBackup: {
    type: 'text',
    env: 'BANYAN_FLAGS_BACKUP',
    help: 'a file that keeps what Unleash said last, for a start while it is away; without one all stays on legacy then',
  },
  flagsToken: {
    type: 'text',
    env: 'BANYAN_FLAGS_TOKEN',
    secret: true,
    help: 'who shows it may read the flags of --flags on the admin listener as an Unleash says them, and nothing else; at least 16 characters',
  },
  unleashPollMs: {
    type: 'integer',
    default: 5_000,
    min: 100,
    help: 'how often Unleash is asked, in milliseconds',
  },
  upstream: {
    type: 'list',
    env: 'BANYAN_UPSTREAMS',
    help: 'name=url,…: where upstreams of the configuration are instead',
  },
  trustedProxies: {
    type: 'list',
    env: 'BANYAN_TRUSTED_PROXIES',
    help: 'addresses or networks (10.0.0.0/8) whose X-Forwarded-* are believed',
  },
  traceUrl: {
    type: 'url',
    env: 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT',
    help: 'a collector of traces (OTLP over HTTP), such as http://127.0.0.1:4318/v1/traces; without one nothing is traced',
  },
  traceRatio: {
    type: 'number',
    default: 0.01,
    min: 0,
    max: 1,
    env: 'BANYAN_TRACE_RATIO',
    help: 'of requests, those that are sampled, by chance',
  },
  traceTrustClients: {
    type: 'flag',
    env: 'BANYAN_TRACE_TRUST_CLIENTS',
    help: 'a request whose client says that its trace is sampled is sampled: only where no stranger is a client',
  },
  logLevel: {
    type: 'text',
    default: 'info',
    env: 'BANYAN_LOG_LEVEL',
    help: 'trace, debug, info, warn, error or fatal',
  },
  warmUpMsMax: {
    type: 'integer',
    default: 1_000,
    min: 0,
    env: 'BANYAN_WARM_UP_MS_MAX',
    help: 'before it listens, the facade serves itself for so long at most, in milliseconds: code that has run is faster; 0: it does not',
  },
  bodyBytesMax: { type: 'integer', default: 100 * mib, min: 0, help: 'largest request body, in bytes' },
  pathBytesMax: { type: 'integer', default: 4_096, min: 1, help: 'longest path, in bytes' },
  headerBytesMax: {
    type: 'integer',
    default: 16_384,
    min: 1_024,
    help: 'largest head of a request, in bytes',
  },
  headersMsMax: {
    type: 'integer',
    default: 15_000,
    min: 1,
    help: 'until the head of a request has arrived, in milliseconds',
  },
  requestMsMax: {
    type: 'integer',
    default: 900_000,
    min: 1,
    help: 'until a whole request has arrived, in milliseconds',
  },
  idleMsMax: {
    type: 'integer',
    default: 120_000,
    min: 1,
    help: 'without a byte either way, event streams and websockets excepted, in milliseconds',
  },
  keepAliveMsMax: {
    type: 'integer',
    default: 72_000,
    min: 1,
    help: 'an unused connection of a client is kept, in milliseconds',
  },
  connectMsMax: {
    type: 'integer',
    default: 3_000,
    min: 1,
    help: 'to connect to an upstream, in milliseconds',
  },
  upstreamMsMax: {
    type: 'integer',
    default: 60_000,
    min: 1,
    help: 'for an upstream to begin its answer, in milliseconds',
  },
  upstreamConnectionsMax: {
    type: 'integer',
    default: 4_096,
    min: 1,
    help: 'connections to one instance of an upstream, and so requests under way there; each open event stream takes one',
  },
  upstreamInFlightMax: {
    type: 'integer',
    default: 16_384,
    min: 1,
    help: 'requests under way at one upstream, all its instances together',
  },
  upstreamQueueMax: {
    type: 'integer',
    default: 1_000,
    min: 0,
    help: 'requests that wait for room at one upstream',
  },
  upstreamQueueMsMax: {
    type: 'integer',
    default: 1_000,
    min: 1,
    help: 'a request waits so long for room at most, in milliseconds',
  },
  breakerFailuresMax: {
    type: 'integer',
    default: 10,
    min: 0,
    help: 'so many failures of an upstream in a row open its breaker; 0: they do not',
  },
  breakerPercentMax: {
    type: 'integer',
    default: 50,
    min: 0,
    max: 100,
    help: 'so many failures of a hundred open it; 0: they do not',
  },
  breakerVolumeMin: {
    type: 'integer',
    default: 20,
    min: 1,
    help: 'of fewer exchanges no share is taken',
  },
  breakerWindowMs: {
    type: 'integer',
    default: 10_000,
    min: 100,
    help: 'the share is that of so long, in milliseconds',
  },
  breakerOpenMs: {
    type: 'integer',
    default: 1_000,
    min: 1,
    help: 'a breaker stays open for so long at first, in milliseconds; twice as long each time that it opens again soon',
  },
  breakerOpenMsMax: {
    type: 'integer',
    default: 10_000,
    min: 1,
    help: 'and for so long at most, in milliseconds; that of legacy never longer than at first',
  },
  breakerProbes: {
    type: 'integer',
    default: 3,
    min: 1,
    help: 'requests that are let through then, and must all succeed',
  },
  ejectFailuresMax: {
    type: 'integer',
    default: 5,
    min: 0,
    help: 'an instance is left out after so many failures in a row (no answer, or 5xx); 0: never',
  },
  ejectMs: {
    type: 'integer',
    default: 2_000,
    min: 1,
    help: 'for so long at first, in milliseconds; twice as long each time that it fails again soon',
  },
  ejectMsMax: { type: 'integer', default: 60_000, min: 1, help: 'and for so long at most, in milliseconds' },
  ejectPercentMax: {
    type: 'integer',
    default: 50,
    min: 0,
    max: 100,
    help: 'of the instances of an upstream so many of a hundred are left out at most; one stays in any case',
  },
  cacheBytesMax: {
    type: 'integer',
    default: 64 * mib,
    min: 1,
    help: 'kept of answers of routes that declare a cache, in bytes',
  },
  dnsServers: {
    type: 'list',
    env: 'BANYAN_DNS_SERVERS',
    help: "host or host:port,…: asked for the instances of upstreams instead of the machine's own DNS servers",
  },
  serviceMsMax: {
    type: 'integer',
    default: 2_000,
    min: 1,
    help: 'for a service to answer a translated read, in milliseconds',
  },
  serviceBytesMax: {
    type: 'integer',
    default: mib,
    min: 1,
    help: 'largest answer of a service to a translated read, in bytes',
  },
  writeBytesMax: {
    type: 'integer',
    default: mib,
    min: 0,
    help: 'largest body of a write that a service executes, in bytes',
  },
  holdMax: {
    type: 'integer',
    default: 10_000,
    min: 0,
    help: 'writes of one capability that wait while its owner changes',
  },
  holdMsMax: {
    type: 'integer',
    default: 10_000,
    min: 1,
    help: 'a write waits so long at most, in milliseconds',
  },
  holdReleaseMax: {
    type: 'integer',
    default: 64,
    min: 1,
    help: 'writes of one capability that have waited are sent on so many at a time',
  },
  ownReadMsMax: {
    type: 'integer',
    default: 1_000,
    min: 0,
    help: "a read that must stay on legacy waits so long for the client's own writes to arrive there, in milliseconds",
  },
  pinMsMax: {
    type: 'integer',
    default: 600_000,
    min: 1,
    help: 'a client is known to have written for so long, in milliseconds; streams are behind by far less',
  },
  pinClientsMax: {
    type: 'integer',
    default: 100_000,
    min: 1,
    help: 'clients that are known to have written, beside those whose cookie says so',
  },
  shadowInFlightMax: {
    type: 'integer',
    default: 16,
    min: 1,
    help: 'reads that are mirrored and compared at a time; others are not mirrored',
  },
  shadowPerSecondMax: {
    type: 'integer',
    default: 100,
    min: 1,
    help: 'reads that are mirrored in a second, at most',
  },
  shadowBytesMax: {
    type: 'integer',
    default: mib / 4,
    min: 1,
    help: 'largest answer that is kept to be compared, in bytes; of those that go out, four for each that is mirrored',
  },
  shadowMsMax: {
    type: 'integer',
    default: 2_000,
    min: 1,
    help: 'for a side to answer a mirrored read, in milliseconds',
  },
  shadowAgainMs: {
    type: 'integer',
    default: 250,
    min: 1,
    max: 10_000,
    help: 'after a difference both sides are asked again in so long, then in 4 and in 12 times that, in milliseconds',
  },
  shadowExamplesMsMax: {
    type: 'integer',
    default: 86_400_000,
    min: 0,
    help: 'the looks of values that differ are kept so long, in milliseconds',
  },
  websocketsMax: { type: 'integer', default: 10_000, min: 0, help: 'open websockets' },
  websocketGraceMsMax: {
    type: 'integer',
    default: 2_000,
    min: 0,
    help: 'websockets and event streams stay open after the stop signal, in milliseconds',
  },
  stopMsMax: {
    type: 'integer',
    default: 10_000,
    min: 0,
    help: 'requests in flight may take to finish after the stop signal, in milliseconds',
  },
} as const satisfies Parameters<typeof parseOptions>[0];

export type FacadeOptions = ReturnType<typeof parseFacadeOptions>;

export type Limits = Pick<
  FacadeOptions,
  | 'bodyBytesMax'
  | 'pathBytesMax'
  | 'headerBytesMax'
  | 'headersMsMax'
  | 'requestMsMax'
  | 'idleMsMax'
  | 'keepAliveMsMax'
  | 'connectMsMax'
  | 'upstreamMsMax'
  | 'upstreamConnectionsMax'
  | 'upstreamInFlightMax'
  | 'upstreamQueueMax'
  | 'upstreamQueueMsMax'
  | 'breakerFailuresMax'
  | 'breakerPercentMax'
  | 'breakerVolumeMin'
  | 'breakerWindowMs'
  | 'breakerOpenMs'
  | 'breakerOpenMsMax'
  | 'breakerProbes'
  | 'ejectFailuresMax'
  | 'ejectMs'
  | 'ejectMsMax'
  | 'ejectPercentMax'
  | 'dnsServers'
  | 'cacheBytesMax'
  | 'serviceMsMax'
  | 'serviceBytesMax'
  | 'writeBytesMax'
  | 'holdMax'
  | 'holdMsMax'
  | 'holdReleaseMax'
  | 'ownReadMsMax'
  | 'pinMsMax'
  | 'pinClientsMax'
  | 'shadowInFlightMax'
  | 'shadowPerSecondMax'
  | 'shadowBytesMax'
  | 'shadowMsMax'
  | 'shadowAgainMs'
  | 'websocketsMax'
  | 'websocketGraceMsMax'
  | 'stopMsMax'
>;

/** @throws OptionsError with every fault */
export const parseFacadeOptions = (argv: readonly string[], env: NodeJS.ProcessEnv) =>
  parseOptions(declaration, argv, env).values;

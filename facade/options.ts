// The facade's options; README's table and --help derive from this.
import { type Declaration, parseOptions } from '../capability/options.ts';
import { limits } from './limits.ts';

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
  ...limits,
} as const satisfies Declaration;

export type FacadeOptions = ReturnType<typeof parseFacadeOptions>;

/** @throws OptionsError with every fault */
export const parseFacadeOptions = (argv: readonly string[], env: NodeJS.ProcessEnv) =>
  parseOptions(declaration, argv, env).values;

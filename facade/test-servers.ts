// For the facade's tests: real upstreams, a facade in front of them, and bare sockets to speak to it.
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { BlockList, connect } from 'node:net';
import { exportJWK, generateKeyPair } from 'jose';
import { pino } from 'pino';
import type { BanyanConfig, Capability, Route } from '../capability/capability.ts';
import type { Standing } from '../capability/phase.ts';
import type { UpstreamDeclaration } from '../capability/upstream.ts';
import { createFacade, type Facade, type FacadeDeps } from './facade.ts';
import type { Limits } from './limits.ts';
import { createMetrics, type Metrics } from './metrics.ts';
import { parseFacadeOptions } from './options.ts';
import { createParity, type Parity } from './parity.ts';
import { Tallies } from './tallies.ts';
import { Upstream } from './upstream.ts';

export type TestServer = {
  readonly url: string;
  readonly port: number;
  readonly server: Server;
  [Symbol.asyncDispose](): Promise<void>;
};

export function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
  return address.port;
}

export async function upstream(handler: RequestListener): Promise<TestServer> {
  const server = createServer({ keepAliveTimeout: 60_000 }, handler).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const port = portOf(server);
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    server,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** A private key as BANYAN_IDENTITY_KEY has it. */
export async function testIdentityKey(): Promise<string> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  return JSON.stringify({ ...(await exportJWK(privateKey)), kid: 'test', alg: 'ES256' });
}

export const manner: BanyanConfig['legacy']['manner'] = {
  contentType: 'application/json; charset=utf-8',
  headers: { 'cache-control': 'no-cache' },
  etag: 'weak-sha1-base64',
  gzipBytesMin: 1024,
};

export const capability = (routes: readonly Route[], name = 'reviews'): Capability => ({
  name,
  team: 'team-reviews',
  routes,
  tables: [],
  references: [],
  service: { upstream: name, database: name },
});

/** An upstream of one instance, as a facade keeps it by default. */
export function oneUpstream(origin: string): Upstream {
  const upstream = new Upstream({
    name: 'reviews',
    errorsCount: true,
    limits: parseFacadeOptions([], {}),
    health: undefined,
    events: createMetrics(),
    log: pino({ level: 'silent' }),
  });
  upstream.update([{ origin }]);
  return upstream;
}

export type TestFacade = {
  readonly url: string;
  readonly port: number;
  readonly facade: Facade;
  readonly metrics: Metrics;
  /** The value of a metric's sample whose labels include the given ones. */
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
  [Symbol.asyncDispose](): Promise<void>;
};

type Overrides = {
  readonly legacy: UpstreamDeclaration;
  readonly service?: UpstreamDeclaration;
  readonly routes?: readonly Route[];
  readonly limits?: Partial<Limits>;
  readonly trusted?: readonly string[];
  readonly standing?: () => Standing | undefined;
  /** By default reads follow the flag, and none is mirrored. */
  readonly flags?: Pick<FacadeDeps['flags'], 'isOn'> & Partial<FacadeDeps['flags']>;
  readonly parity?: Parity;
  readonly tallies?: Tallies;
  readonly owners?: FacadeDeps['owners'];
  readonly metrics?: Metrics;
  readonly legacyRoutes?: readonly Route[];
  /** Instead of the one with `routes`. */
  readonly capabilities?: readonly Capability[];
  readonly log?: FacadeDeps['log'];
  readonly tracing?: FacadeDeps['tracing'];
};

export async function startFacade(given: Overrides): Promise<TestFacade> {
  const upstreams = { legacy: given.legacy, reviews: given.service ?? 'http://127.0.0.1:1' };
  const trustedProxies = new BlockList();
  for (const address of given.trusted ?? []) trustedProxies.addAddress(address);
  const metrics = given.metrics ?? createMetrics();
  const facade = await createFacade({
    config: {
      upstreams,
      legacy: { database: 'shop', manner, routes: given.legacyRoutes ?? [] },
      capabilities: given.capabilities ?? [capability(given.routes ?? [])],
    },
    upstreams,
    limits: { ...parseFacadeOptions([], {}), stopMsMax: 2_000, websocketGraceMsMax: 100, ...given.limits },
    trustedProxies,
    flags: { proposedPercent: () => 0, asksFor: () => false, ...(given.flags ?? { isOn: () => true }) },
    parity: given.parity ?? createParity(60_000),
    tallies: given.tallies ?? new Tallies([{ name: 'reviews' }]),
    control: { standing: given.standing ?? (() => ({ phase: 'reads', ready: true })) },
    owners: given.owners,
    identityKey: undefined,
    tracing: given.tracing,
    metrics,
    log: given.log ?? pino({ level: 'silent' }),
  });
  const url = await facade.start('127.0.0.1', 0);
  return {
    url,
    port: Number(new URL(url).port),
    facade,
    metrics,
    async metric(name, labels = {}) {
      const metric = await metrics.registry.getSingleMetric(name)?.get();
      return (metric?.values ?? [])
        .filter((value) => Object.entries(labels).every(([label, text]) => value.labels[label] === text))
        .reduce((sum, { value }) => sum + value, 0);
    },
    [Symbol.asyncDispose]: () => facade.stop(),
  };
}

/** Sends bytes, and gives all that comes back until the other side ends. */
export async function speak(port: number, bytes: string | Buffer): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  let heard = '';
  socket.on('data', (chunk) => {
    heard += chunk.toString('latin1');
  });
  socket.on('error', () => {});
  socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  await once(socket, 'close');
  return heard;
}

/** A server that answers by raw bytes, and gives the bytes it heard. */
export async function rawUpstream(answer: string): Promise<TestServer & { heard(): string }> {
  let heard = '';
  const test = await upstream(() => {});
  test.server.removeAllListeners('connection');
  test.server.on('connection', (socket) => {
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      heard += chunk.toString('latin1');
      if (heard.includes('\r\n\r\n')) socket.end(Buffer.from(answer, 'latin1'));
    });
  });
  return { ...test, heard: () => heard };
}

/** Longer than any machine needs; what ends by itself does so after a minute. */
const untilMsMax = 45_000;

export async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (const end = Date.now() + untilMsMax; ; ) {
    if (await condition()) return;
    if (Date.now() > end) throw new Error(`this never came: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

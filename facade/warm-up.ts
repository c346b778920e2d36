// Code that has never run is several times slower than code that has, and the first clients would pay for it. So another facade of the same
// configuration serves some thousand requests in this process first: before an upstream of its own, that no request leaves.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { pino } from 'pino';
import { ask } from './ask.ts';
import { createFacade, type FacadeDeps } from './facade.ts';
import { createMetrics } from './metrics.ts';
import { createParity } from './parity.ts';
import { Pool } from './pool.ts';
import { Tallies } from './tallies.ts';

const requestsMax = 4_000;
const atOnce = 8;
const pathsMax = 50;
const small = Buffer.from(JSON.stringify({ warm: 'x'.repeat(1_000) }));
const large = Buffer.alloc(100 * 1024, 'x');

/** What every upstream of the configuration is meanwhile. */
async function startUpstream() {
  const server = createServer((request, response) => {
    request.resume();
    const body = request.url?.endsWith('large') ? large : small;
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length }).end(body);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port');
  return { server, origin: `http://127.0.0.1:${address.port}` };
}

type Kind = { readonly method: string; readonly path: string; readonly body?: string };

/** A request of each declared route, and of some that nobody declares. */
function kindsOf({ capabilities, legacy }: FacadeDeps['config']): Kind[] {
  const routes = [...capabilities.flatMap((each) => each.routes), ...(legacy.routes ?? [])].slice(
    0,
    pathsMax,
  );
  const declared = routes.map(({ method, path }) => ({
    method,
    path: path.replace(/:[^/]+/g, '1').replace(/\*$/, '1'),
  }));
  const others = [
    { method: 'GET', path: '/warm/up' },
    { method: 'POST', path: '/warm/up' },
    { method: 'GET', path: '/warm/large' },
  ];
  return [...declared, ...others].map((kind) =>
    kind.method === 'POST' ? { ...kind, body: 'a=1&b=2' } : kind,
  );
}

const headers = {
  host: 'warm.invalid',
  'user-agent': 'warm-up',
  accept: 'application/json',
  'accept-encoding': 'gzip',
  cookie: 'sid=0123456789abcdef; banyan_id=AAAAAAAAAAAAAAAAAAAAAA',
};

/**
 * Of what the facade has, only what says how to serve is used: nothing is counted, logged or traced, and nobody is asked who owns.
 * @param msMax it ends after so many milliseconds, or some thousand requests; 0: it does not begin
 */
export async function warmUp(
  { config, upstreams, limits, trustedProxies, control }: FacadeDeps,
  msMax: number,
): Promise<void> {
  if (msMax === 0) return;
  const end = performance.now() + msMax;
  const { server, origin } = await startUpstream();
  const facade = await createFacade({
    config,
    upstreams: {
      ...Object.fromEntries(Object.keys(upstreams).map((name) => [name, origin])),
      legacy: origin,
    },
    limits: { ...limits, stopMsMax: 0 },
    trustedProxies,
    flags: { isOn: () => false, asksFor: () => false, proposedPercent: () => 0 },
    control,
    owners: undefined,
    identityKey: undefined,
    metrics: createMetrics(),
    parity: createParity(0),
    tallies: new Tallies(config.capabilities),
    log: pino({ level: 'silent' }),
  });
  const pool = new Pool(await facade.start('127.0.0.1', 0), {
    upstreamConnectionsMax: atOnce,
    connectMsMax: msMax,
  });
  const kinds = kindsOf(config);
  let asked = 0;
  const askOn = async () => {
    for (let kind = kinds[0]; kind && asked < requestsMax && performance.now() < end; asked += 1) {
      kind = kinds[asked % kinds.length] ?? kind;
      // A route may refuse so many of one client, and be slow to: whatever comes of it, it has run.
      await ask(pool, { ...kind, headers }, { msMax, bytesMax: large.length }).catch(() => {});
    }
  };
  try {
    await Promise.all(Array.from({ length: atOnce }, askOn));
  } finally {
    await pool.destroy();
    await facade.stop();
    server.close();
    server.closeAllConnections();
  }
}

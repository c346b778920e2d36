// The facade under load, for its benchmark: all that stands in the way of a request, without the databases. Who owns is read once, a
// flag sends a few clients to the service, and the one of the benchmark is not among them. Without capabilities it is bare: not traced
// either.
//   node bench/facade-ours.ts UPSTREAM CAPABILITIES ROUTES FLAGS     (ROUTES of all capabilities together)
import { BlockList } from 'node:net';
import { pino } from 'pino';
import type { BanyanConfig, Capability, Route } from '../capability/capability.ts';
import { readFlag } from '../capability/capability.ts';
import { rolloutFlag, writeFlagFile } from '../capability/flag-file.ts';
import { openSpanSink } from '../capability/otlp.ts';
import { createFacade, type Owners } from '../facade/facade.ts';
import { fileFlags } from '../facade/flags.ts';
import type { Limits } from '../facade/limits.ts';
import { createMetrics, type Metrics } from '../facade/metrics.ts';
import { parseFacadeOptions } from '../facade/options.ts';
import { createParity } from '../facade/parity.ts';
import { Tallies } from '../facade/tallies.ts';
import { createTracing } from '../facade/tracing.ts';
import { createOwnerWrites } from '../facade/writes.ts';
import { clientsId } from './http-load.ts';

const fence = { owner: 'legacy', epoch: 1n, turn: null } as const;
const reading = { is: 'read', hold: undefined, fence } as const;

/** As after the first look at both sides. */
function ownersOf(names: readonly string[], limits: Limits, metrics: Metrics): Owners {
  const writes = createOwnerWrites(names, limits, metrics);
  writes.registered();
  writes.listener.begins();
  writes.listener.ended(() => ({ legacy: reading, service: reading }));
  return {
    writes,
    view: {
      owner: () => ({ side: 'legacy', epoch: 1n }),
      side: () => ({ epoch: 1n, passed: undefined }),
      latest: () => BigInt(Date.now()) * 1_000n,
      look: async () => {},
      refresh: async () => {},
    },
  };
}

/** The first reads, the others read and write in turn; one path each, with a name in it. */
function capabilityOf(name: string, routes: number): Capability {
  const route = (number: number): Route => {
    const path = `/${name}/r${number}/:id`;
    return number % 2 === 0
      ? { method: 'GET', path, kind: 'read', safe: true, translate: untranslated }
      : { method: 'POST', path, kind: 'write' };
  };
  return {
    name,
    team: 'bench',
    tables: [],
    references: [],
    service: { upstream: 'legacy', database: name },
    routes: Array.from({ length: routes }, (_, number) => route(number)),
  };
}

/** Never asked: it only makes a route one that could move. */
const untranslated = {
  request: () => {
    throw new Error('the flag is at 0 %');
  },
  response: () => {
    throw new Error('the flag is at 0 %');
  },
};

const [legacy = '', many = '0', routes = '0', flagFile = ''] = process.argv.slice(2);
const names = Array.from({ length: Number(many) }, (_, number) => `c${number}`);
const config: BanyanConfig = {
  upstreams: { legacy },
  legacy: {
    database: 'bench',
    manner: { contentType: 'application/json', headers: {}, etag: 'none' },
  },
  capabilities: names.map((name) => capabilityOf(name, Number(routes) / names.length)),
};
const limits = parseFacadeOptions([], {});
const metrics = createMetrics();
const log = pino({ level: 'warn' }, pino.destination(2));
writeFlagFile(flagFile, {
  version: 2,
  features: names.map((name) => ({ ...rolloutFlag(readFlag(name), 1), enabled: true })),
});
const flags = await fileFlags(
  flagFile,
  names.map((name) => ({ name: readFlag(name), properties: [] })),
  log,
);
if (names.some((name) => flags.isOn(readFlag(name), clientsId)))
  throw new Error('the client of the benchmark is among those whom a flag sends to the service');
const isEverythingOn = names.length > 0;
const facade = await createFacade({
  config,
  upstreams: config.upstreams,
  limits,
  trustedProxies: new BlockList(),
  flags,
  control: { standing: () => ({ phase: 'reads', ready: true }) },
  owners: isEverythingOn ? ownersOf(names, limits, metrics) : undefined,
  identityKey: undefined,
  metrics,
  parity: createParity(0),
  tallies: new Tallies(config.capabilities),
  tracing: isEverythingOn
    ? createTracing(
        { ratio: limits.traceRatio, trustClients: false },
        openSpanSink(`${legacy}/v1/traces/1k`, 'banyan-facade', log),
      )
    : undefined,
  log,
});
console.log(JSON.stringify({ listening: await facade.start('127.0.0.1', 0) }));
process.once('SIGTERM', () => process.exit());

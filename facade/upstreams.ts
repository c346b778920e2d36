// Every upstream of the configuration, each with its own breaker, instances and bounds.
import type { Logger } from 'pino';
import type { HealthCheck, Place, UpstreamDeclaration } from '../capability/upstream.ts';
import { createFinder, type Finder } from './find-instances.ts';
import { healthLimits } from './health.ts';
import { Upstream, type UpstreamEvents, type UpstreamLimits, type UpstreamStatus } from './upstream.ts';

export type Upstreams = {
  /** @throws Error when the configuration has none of that name */
  upstream(name: string): Upstream;
  /** Returns when each has been looked for once, well or not. */
  start(): Promise<void>;
  status(): UpstreamStatus[];
  stop(): Promise<void>;
};

const everyMsUsual = 5_000;

type Declared = {
  readonly place: Place;
  readonly everyMs: number;
  readonly health: HealthCheck | undefined;
  readonly inFlightMax: number | undefined;
};

function declared(declaration: UpstreamDeclaration): Declared {
  const plain = { everyMs: everyMsUsual, health: undefined, inFlightMax: undefined };
  if (typeof declaration === 'string') return { ...plain, place: { origins: [declaration] } };
  if ('length' in declaration) return { ...plain, place: { origins: declaration } };
  const { everyMs = everyMsUsual, health, inFlightMax } = declaration;
  return { place: declaration, everyMs, health, inFlightMax };
}

/** The same upstream at another place: what is declared of its health and its bounds still holds. */
export function relocated(declaration: UpstreamDeclaration, origins: readonly string[]): UpstreamDeclaration {
  const { health, inFlightMax } = declared(declaration);
  return { origins, ...(health && { health }), ...(inFlightMax !== undefined && { inFlightMax }) };
}

const originsOf = (origins: readonly string[]) =>
  [...new Set(origins.map((origin) => new URL(origin).origin))].map((origin) => ({ origin }));

/**
 * Legacy has nobody to stand in for it: its breaker counts silence only, and is open for moments only.
 * @param dnsServers empty: those of the machine
 */
export function createUpstreams(
  declarations: Readonly<Record<string, UpstreamDeclaration>>,
  limits: UpstreamLimits & { readonly dnsServers: readonly string[] },
  events: UpstreamEvents,
  log: Logger,
): Upstreams {
  const upstreams = new Map<string, Upstream>();
  const finders: Finder[] = [];
  for (const [name, declaration] of Object.entries(declarations)) {
    const { place, everyMs, health, inFlightMax } = declared(declaration);
    let finder: Finder | undefined;
    const isLegacy = name === 'legacy';
    const upstream = new Upstream({
      name,
      errorsCount: !isLegacy,
      limits: {
        ...limits,
        ...(inFlightMax !== undefined && { upstreamInFlightMax: inFlightMax }),
        ...(isLegacy && { breakerOpenMsMax: limits.breakerOpenMs }),
      },
      health: health && healthLimits(health),
      events,
      log,
      fault: () => finder?.fault(),
    });
    upstreams.set(name, upstream);
    if ('origins' in place) {
      upstream.update(originsOf(place.origins));
    } else {
      finder = createFinder(place, {
        name,
        everyMs,
        dnsServers: limits.dnsServers,
        found: (instances) => upstream.update(instances),
        log,
      });
      finders.push(finder);
    }
  }
  return {
    upstream(name) {
      const upstream = upstreams.get(name);
      if (!upstream) throw new Error(`the configuration has no upstream "${name}"`);
      return upstream;
    },
    async start() {
      await Promise.all(finders.map((finder) => finder.start()));
    },
    status: () => [...upstreams.values()].map((upstream) => upstream.status()),
    async stop() {
      await Promise.all(finders.map((finder) => finder.stop()));
      await Promise.all([...upstreams.values()].map((upstream) => upstream.stop()));
    },
  };
}

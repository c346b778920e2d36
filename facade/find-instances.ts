// Which instances of an upstream there are, by a file or by DNS. What could not be had changes nothing: those that were known
// last stay.
import { Resolver } from 'node:dns/promises';
import { type FSWatcher, watch } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import type { Logger } from 'pino';
import { originsFault, type Place } from '../capability/upstream.ts';

/** An instance as it is found. */
export type Found = {
  /** http://host:port */
  readonly origin: string;
  /** What a certificate must name, where the origin is an address. */
  readonly servername?: string;
};

export type Finder = {
  /** Returns when the first attempt is over, well or not; from then on it goes on by itself. */
  start(): Promise<void>;
  /** Why the newest could not be had; those in force are older. */
  fault(): string | undefined;
  stop(): Promise<void>;
};

export type FinderDeps = {
  /** Of the upstream, for the log. */
  readonly name: string;
  readonly everyMs: number;
  /** Empty: those of the machine. */
  readonly dnsServers: readonly string[];
  readonly found: (instances: readonly Found[]) => void;
  readonly log: Logger;
};

/** A place that says another thing at another time. */
export type AskedPlace = Exclude<Place, { origins: readonly string[] }>;

/** A plain write is two events, the first with the file empty. */
const settleMs = 20;

/** Instances of one upstream; what names more is taken for a mistake. */
const instancesMax = 1_000;

/** @throws Error when the file cannot be read, or is not all that it should be */
async function fromFile(path: string): Promise<Found[]> {
  let list: unknown;
  try {
    list = JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    if (cause instanceof SyntaxError) throw new Error('it is not JSON (half written?)', { cause });
    throw cause;
  }
  const fault = originsFault(list);
  if (fault !== undefined || !Array.isArray(list)) throw new Error(`it ${fault}`);
  return list.map((each) => ({ origin: new URL(String(each)).origin }));
}

const originOf = (host: string, port: number, tls: boolean | undefined) =>
  new URL(`${tls ? 'https' : 'http'}://${host}:${port}`).origin;

/** @throws Error of node:dns, also when there is no record */
async function fromDns(
  resolver: Resolver,
  { dns, port, tls }: Extract<Place, { dns: string }>,
): Promise<Found[]> {
  const addresses = await resolver.resolve4(dns);
  return addresses.map((address) => ({ origin: originOf(address, port, tls), servername: dns }));
}

/** The targets' addresses are asked for, too: the machine's own resolver may not know them. */
async function fromSrv(resolver: Resolver, { srv, tls }: Extract<Place, { srv: string }>): Promise<Found[]> {
  const records = await resolver.resolveSrv(srv);
  const first = Math.min(...records.map(({ priority }) => priority));
  const found = records
    .filter(({ priority }) => priority === first)
    .map(async ({ name, port }) =>
      (await resolver.resolve4(name)).map((address) => ({
        origin: originOf(address, port, tls),
        servername: name,
      })),
    );
  return (await Promise.all(found)).flat();
}

/** Watches the folder: a file that is replaced by a rename is another file. What escapes is found by asking. */
function watchFile(path: string, changed: () => void, log: Logger): FSWatcher | undefined {
  try {
    const watcher = watch(dirname(path), (_event, name) => {
      if (name === null || name === basename(path)) changed();
    });
    watcher.on('error', (error) =>
      log.warn({ err: error, file: path }, 'a file of instances is polled only'),
    );
    return watcher;
  } catch (error) {
    log.warn({ err: error, file: path }, 'a file of instances is polled only');
    return undefined;
  }
}

export function createFinder(
  place: AskedPlace,
  { name, everyMs, dnsServers, found, log }: FinderDeps,
): Finder {
  const resolver = new Resolver({ timeout: 1_000, tries: 2 });
  if (dnsServers.length > 0) resolver.setServers(dnsServers);
  let watcher: FSWatcher | undefined;
  let timer: NodeJS.Timeout | undefined;
  let asking: Promise<void> | undefined;
  let fault: string | undefined;
  let known = '';
  let isChanged = false;
  let stopped = false;

  const ask = (): Promise<readonly Found[]> => {
    if ('file' in place) return fromFile(resolve(place.file));
    return 'dns' in place ? fromDns(resolver, place) : fromSrv(resolver, place);
  };

  function take(instances: readonly Found[]): void {
    const unique = [...new Map(instances.map((each) => [each.origin, each])).values()];
    if (unique.length === 0) throw new Error('there is none');
    if (unique.length > instancesMax) throw new Error(`there are more than ${instancesMax}`);
    const origins = unique.map(({ origin }) => origin).sort();
    if (fault !== undefined) log.info({ upstream: name }, 'the instances of an upstream are known again');
    fault = undefined;
    if (origins.join() === known) return; // DNS says them in another order each time
    known = origins.join();
    log.info({ upstream: name, instances: origins }, 'the instances of an upstream');
    found(unique);
  }

  async function once(): Promise<void> {
    try {
      const instances = await ask();
      if (!stopped) take(instances);
    } catch (error) {
      if (stopped) return;
      const why = error instanceof Error ? error.message : String(error);
      if (why !== fault)
        log.error(
          { upstream: name, fault: why, place },
          'the instances of an upstream cannot be had; those that were known stay',
        );
      fault = why;
    }
  }

  function later(afterMs: number): void {
    clearTimeout(timer);
    if (!stopped) timer = setTimeout(look, afterMs);
  }

  /** One after the other. */
  function look(): void {
    isChanged = false;
    asking = once().then(() => {
      asking = undefined;
      later(isChanged ? settleMs : everyMs);
    });
  }

  function changed(): void {
    isChanged = true;
    if (asking === undefined) later(settleMs);
  }

  return {
    async start() {
      if ('file' in place) watcher = watchFile(resolve(place.file), changed, log);
      look();
      await asking;
    },
    fault: () => fault,
    async stop() {
      stopped = true;
      watcher?.close();
      clearTimeout(timer);
      resolver.cancel();
      await asking;
    },
  };
}

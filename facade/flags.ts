// The flags: what somebody proposes. Evaluated by unleash-client, from an embedded flag file or an Unleash server.

import type { Logger } from 'pino';
import { InMemStorageProvider, Unleash, type UnleashConfig } from 'unleash-client';
import { rolloutPercent } from '../capability/flag-file.ts';
import { type Feature, FlagFileRepository } from './flag-file-repository.ts';

export type FlagsStatus = {
  readonly source: 'file' | 'unleash';
  /** The file's path, or the server's URL. */
  readonly place: string;
  /** ISO 8601, of the flags in force; null as long as there are none. */
  readonly loadedAt: string | null;
  /** Why the newest flags could not be had; those in force are older. */
  readonly fault: string | null;
};

export type Flags = {
  /** @param properties what constraints may ask for beside the id */
  isOn(flag: string, id: string, properties?: Readonly<Record<string, string>>): boolean;
  /** Whether a constraint asks for that property (or a segment, of which nobody knows). */
  asksFor(flag: string, property: string): boolean;
  /** What the flag asks for: 0 to 100, or null when its strategies cannot be said as one percentage. */
  proposedPercent(flag: string): number | null;
  status(): FlagsStatus;
  stop(): Promise<void>;
};

/** The share of clients a feature asks for, as far as one number can say it. */
function percentOf(feature: Feature | undefined): number | null {
  if (!feature) return 0;
  const strategies = (feature.strategies ?? []).map(({ name, parameters, constraints, segments }) => ({
    name,
    parameters: Object.fromEntries(
      Object.entries(parameters ?? {}).map(([key, value]) => [key, String(value)]),
    ),
    constraints: [...(constraints ?? []), ...(segments ?? [])],
  }));
  return rolloutPercent({ name: feature.name, enabled: feature.enabled, strategies }) ?? null;
}

const contextOf = (userId: string, properties: Readonly<Record<string, string>> | undefined) =>
  properties ? { userId, properties } : { userId };

const asksFor = (feature: Feature | undefined, property: string): boolean =>
  (feature?.strategies ?? []).some(
    ({ constraints, segments }) =>
      (segments ?? []).length > 0 || (constraints ?? []).some(({ contextName }) => contextName === property),
  );

const common = {
  appName: 'banyan-facade',
  // The facade's own metrics say more, and the flag file has nobody to send them to.
  disableMetrics: true,
  disableAutoStart: true,
  skipInstanceCountWarning: true,
} satisfies Partial<UnleashConfig>;

/**
 * The embedded flags.
 * @throws FlagFileError when the file cannot be read or is not valid: nothing is known then
 */
export async function fileFlags(path: string, log: Logger): Promise<Flags> {
  const file = new FlagFileRepository(path, log);
  file.load();
  const unleash = new Unleash({ ...common, url: 'http://flag-file.invalid/', repository: file });
  unleash.on('error', (error) => log.error({ err: error }, 'a flag could not be evaluated'));
  unleash.on('warn', (message) => log.warn({ detail: String(message) }, 'a flag has an oddity'));
  await unleash.start();
  return {
    isOn: (flag, id, properties) => unleash.isEnabled(flag, contextOf(id, properties), false),
    asksFor: (flag, property) => asksFor(file.getToggle(flag), property),
    proposedPercent: (flag) => percentOf(file.getToggle(flag)),
    status: () => ({
      source: 'file',
      place: path,
      loadedAt: file.loadedAt?.toISOString() ?? null,
      fault: file.fault ?? null,
    }),
    async stop() {
      unleash.destroy();
    },
  };
}

export type UnleashOptions = {
  readonly url: string;
  readonly token: string;
  readonly pollMs: number;
  /** How long to wait after the server refused the token: the client stops asking for good then. */
  readonly refusedRetryMs: number;
};

/**
 * Flags of an Unleash server. An unreachable one is no error: until it answers no flag is on, and afterwards the
 * last flags stay in force.
 */
export async function unleashFlags(options: UnleashOptions, log: Logger): Promise<Flags> {
  let loadedAt: Date | undefined;
  let fault: string | undefined;
  let retry: NodeJS.Timeout | undefined;
  let reconnecting: Promise<void> | undefined;
  let stopped = false;
  const retryLater = () => {
    clearTimeout(retry);
    retry = setTimeout(() => {
      reconnecting = reconnect();
    }, options.refusedRetryMs);
  };

  const setFault = (text: string | undefined) => {
    if (text !== undefined && fault === undefined)
      log.error({ fault: text, place: options.url }, 'Unleash cannot be asked; the last flags stay in force');
    if (text === undefined && fault !== undefined) log.info({ place: options.url }, 'Unleash answers again');
    fault = text;
  };

  function connect() {
    let polling = false;
    let polled: (() => void) | undefined;
    const unleash = new Unleash({
      ...common,
      url: options.url,
      refreshInterval: options.pollMs,
      timeout: Math.max(options.pollMs, 2_000),
      // Flags that no server has confirmed since this process started are not acted on.
      storageProvider: new InMemStorageProvider(),
      customHeadersFunction: async () => {
        polling = true;
        return { Authorization: options.token };
      },
    });
    const ended = () => {
      polling = false;
      polled?.();
    };
    const got = () => {
      loadedAt = new Date();
      setFault(undefined);
      ended();
    };
    unleash.on('changed', got);
    unleash.on('unchanged', got);
    unleash.on('warn', (message) => {
      setFault(String(message));
      ended();
    });
    unleash.on('error', (error: Error) => {
      setFault(error.message);
      ended();
      if (/responded 40[13]/.test(error.message) && !stopped) retryLater();
    });
    return {
      unleash,
      /** destroy() in the middle of a poll that fails would end the process by an unheard 'error' event. */
      async stop() {
        if (polling)
          await new Promise<void>((resolve) => {
            polled = resolve;
          });
        await new Promise((resolve) => setImmediate(resolve));
        unleash.destroy();
      },
    };
  }

  let client = connect();
  async function reconnect() {
    const next = connect();
    await next.unleash.start();
    if (stopped || !next.unleash.isSynchronized()) {
      await next.stop();
      if (!stopped) retryLater(); // the old client still has its flags
      return;
    }
    const old = client;
    client = next;
    await old.stop();
  }
  await client.unleash.start();

  return {
    isOn: (flag, id, properties) => client.unleash.isEnabled(flag, contextOf(id, properties), false),
    asksFor: (flag, property) => asksFor(client.unleash.getFeatureToggleDefinition(flag), property),
    proposedPercent: (flag) => percentOf(client.unleash.getFeatureToggleDefinition(flag)),
    status: () => ({
      source: 'unleash',
      place: options.url,
      loadedAt: loadedAt?.toISOString() ?? null,
      fault: fault ?? null,
    }),
    async stop() {
      stopped = true;
      clearTimeout(retry);
      await reconnecting;
      await client.stop();
    },
  };
}

// Who owns, as this replica knows it, and what it does with writes: both sides' servers watched, and a row in the registry of replicas.
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { createConnection } from 'mysql2/promise';
import type { Logger } from 'pino';
import type { Side } from '../capability/capability.ts';
import { beat, forgetKilled, type ReplicaReport, signOff } from '../capability/replicas.ts';
import { StartError } from './errors.ts';
import type { Metrics } from './metrics.ts';
import type { FacadeOptions } from './options.ts';
import { createRegistry, type Registry, type RegistryConnection } from './registry.ts';
import { connectToSide } from './side-connection.ts';
import { type SideView, watchSides } from './side-view.ts';
import type { HoldLimits } from './write-group.ts';
import { createOwnerWrites, type OwnerWrites } from './writes.ts';

export type WatchedOwners = {
  readonly view: SideView;
  readonly writes: OwnerWrites;
  readonly replica: Pick<Registry, 'name' | 'isRegistered'>;
  /** Registers first, then asks: returns when both have been tried once. */
  start(adminUrl: string): Promise<void>;
  /** Looks first. */
  look(capability: string, waitMs: number): Promise<ReplicaReport | undefined>;
  /** After the last write of this replica is over. */
  stop(): Promise<void>;
};

const connectMsMax = 2_000;

async function connectRegistry(uri: string, name: string, adminUrl: string): Promise<RegistryConnection> {
  const connection = await createConnection({ uri, connectTimeout: connectMsMax });
  connection.on('error', () => {}); // the next beat says it
  await forgetKilled(connection);
  return {
    beat: () => beat(connection, name, adminUrl),
    signOff: () => signOff(connection, name),
    close: () => connection.destroy(),
  };
}

type Urls = Pick<FacadeOptions, 'legacyUrl' | 'servicesUrl'>;

/** @throws StartError when one is missing */
export function sideUrls({ legacyUrl, servicesUrl }: Urls): Readonly<Record<Side, string>> {
  const fault = (option: string, what: string) =>
    new StartError(
      `there is a control store, and no ${option}`,
      `give ${what}: who owns a capability is read there`,
    );
  if (legacyUrl === undefined) throw fault('--legacy-url (BANYAN_LEGACY_URL)', 'the legacy database server');
  if (servicesUrl === undefined)
    throw fault('--services-url (BANYAN_SERVICES_URL)', "the services' database server");
  return { legacy: legacyUrl, service: servicesUrl };
}

/** Until it is started, every write waits. */
export function createOwners(
  capabilities: readonly string[],
  urls: Readonly<Record<Side, string>>,
  controlUrl: string,
  limits: HoldLimits,
  metrics: Metrics,
  log: Logger,
): WatchedOwners {
  const writes = createOwnerWrites(capabilities, limits, metrics);
  const view = watchSides((side) => connectToSide(urls[side], side, connectMsMax), writes.listener, log);
  const name = `${hostname()}-${process.pid}-${randomBytes(4).toString('hex')}`;
  const registered = () => {
    writes.registered();
    void view.look();
  };
  const replica = createRegistry(name, (url) => connectRegistry(controlUrl, name, url), registered, log);
  return {
    view,
    writes,
    replica,
    async start(adminUrl) {
      await replica.start(adminUrl);
      await view.look();
    },
    async look(capability, waitMs) {
      await view.look();
      return writes.report(capability, waitMs);
    },
    async stop() {
      await replica.stop();
      await view.stop();
    },
  };
}

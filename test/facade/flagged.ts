// Real facade processes with a real control store, before two upstreams that say who answered: what the suites of flags run on.
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { claimFolder } from '../claimed-folder.ts';
import { type Cli, run } from '../story/stack.ts';
import { type FacadeProcess, startFacadeProcess } from './facade-process.ts';
import { startSides, startUpstream } from './sides.ts';

const config = join(import.meta.dirname, 'flagged.config.ts');
const adminToken = randomBytes(12).toString('hex');

export type FlagsSaid = {
  readonly source: string;
  readonly loadedAt: string | null;
  readonly fault: string | null;
  readonly isBackup: boolean;
  readonly warnings: readonly string[];
};

export type FlaggedFacade = FacadeProcess & {
  /** Who answers a client: `legacy` or `service`. @param id 22 characters */
  sideOf(id: string, headers?: Readonly<Record<string, string>>): Promise<string>;
  /** Of these clients, those whom the service answers. */
  moved(ids: readonly string[]): Promise<string[]>;
  /** Of /api/status. */
  flags(): Promise<FlagsSaid>;
  effectivePercent(): Promise<number | null>;
  metrics(): Promise<string>;
};

export type Flagged = {
  readonly folder: string;
  /** @param env what makes its flags; @param words of its command line */
  start(env: Readonly<Record<string, string>>, ...words: string[]): Promise<FlaggedFacade>;
  /** The CLI, which asks this facade whether it follows. */
  banyan(facade: FacadeProcess, words: readonly string[], env?: NodeJS.ProcessEnv): Promise<Cli>;
  phase(): Promise<string>;
  /** No facade runs; the data is there, and right; nothing is read from the service. */
  reset(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

/** Ids of clients, always the same ones. */
export const idsOf = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `client-${index}`.padEnd(22, 'x'));

function flaggedFacade(facade: FacadeProcess): FlaggedFacade {
  const { url, ask } = facade;
  const status = async () =>
    (await (await ask('/api/status')).json()) as {
      flags: FlagsSaid;
      capabilities: readonly { effectivePercent: number | null }[];
    };
  const sideOf = async (id: string, headers: Readonly<Record<string, string>> = {}) => {
    const response = await fetch(`${url}/api/review/list.do`, {
      headers: { cookie: `banyan_id=${id}`, ...headers },
    });
    return ((await response.json()) as { by: string }).by;
  };
  return {
    ...facade,
    sideOf,
    async moved(ids) {
      const sides = await Promise.all(ids.map((id) => sideOf(id)));
      return ids.filter((_, index) => sides[index] === 'service');
    },
    flags: async () => (await status()).flags,
    effectivePercent: async () => (await status()).capabilities[0]?.effectivePercent ?? null,
    metrics: async () => (await ask('/metrics')).text(),
  };
}

export async function startFlagged(): Promise<Flagged> {
  const runFolder = await claimFolder('flags');
  const folder = runFolder.path;
  const sides = await startSides();
  // It reads the whole of the control store here.
  await sides.legacy.query("GRANT SELECT ON banyan.* TO banyan_facade@'%'");
  const upstreams = [await startUpstream('legacy'), await startUpstream('service')];
  const [legacy, service] = upstreams.map(({ url }) => url);
  const started: FacadeProcess[] = [];
  const stop = async () => {
    for (const facade of started.splice(0).reverse()) await facade.stop();
  };
  return {
    folder,
    async start(env, ...words) {
      const facade = await startFacadeProcess({
        name: 'facade',
        runFolder,
        config,
        token: adminToken,
        databases: {
          control: `${sides.url(sides.legacy.relay)}/banyan`,
          legacy: sides.url(sides.legacy.relay),
          services: sides.url(sides.service.relay),
        },
        env: { BANYAN_UPSTREAMS: `legacy=${legacy},reviews=${service}`, ...env },
        words,
      });
      started.push(facade);
      return flaggedFacade(facade);
    },
    banyan: ({ admin }, [command = '', ...words], env = {}) =>
      run(
        'banyan.ts',
        [
          command,
          ...['--config', config, '--folder', folder, '--admin-url', admin],
          ...['--control-url', sides.legacy.url],
          ...words,
        ],
        { BANYAN_ADMIN_TOKEN: adminToken, ...env },
      ),
    async phase() {
      const [row] = await sides.legacy.query("SELECT phase FROM banyan.capability WHERE name = 'reviews'");
      return String(row?.phase);
    },
    async reset() {
      await stop();
      await sides.reset(['reviews']);
      await sides.legacy.query(
        `DELETE FROM banyan.evidence; DELETE FROM banyan.capability;
         INSERT INTO banyan.capability (name, phase) VALUES ('reviews', 'synced');
         INSERT INTO banyan.evidence (capability, kind, facts) VALUES ('reviews', 'backfilled', '{}'), ('reviews', 'verified', '{}')`,
      );
    },
    async [Symbol.asyncDispose]() {
      await stop();
      for (const upstream of upstreams) await upstream[Symbol.asyncDispose]();
      await sides[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

// Real facade processes with a real control store, before two upstreams that say who answered: what the suites of flags run on.
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { claimRunFolder } from '../../scripts/run-folder.ts';
import { type SupervisedProcess, startProcess } from '../../scripts/supervise.ts';
import { type Cli, run } from '../story/stack.ts';
import { startSides, startUpstream } from './sides.ts';

const root = join(import.meta.dirname, '..', '..');
const config = join(import.meta.dirname, 'flagged.config.ts');
const adminToken = randomBytes(12).toString('hex');

export type FlagsSaid = {
  readonly source: string;
  readonly loadedAt: string | null;
  readonly fault: string | null;
  readonly isBackup: boolean;
  readonly warnings: readonly string[];
};

export type FacadeProcess = {
  readonly process: SupervisedProcess;
  readonly url: string;
  readonly admin: string;
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
  start(env: Readonly<Record<string, string>>, ...words: string[]): Promise<FacadeProcess>;
  /** The CLI, which asks this facade whether it follows. */
  banyan(facade: FacadeProcess, words: readonly string[], env?: NodeJS.ProcessEnv): Promise<Cli>;
  phase(): Promise<string>;
  /** The data is there, and right; nothing is read from the service. */
  reset(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

/** Ids of clients, always the same ones. */
export const idsOf = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `client-${index}`.padEnd(22, 'x'));

async function statusOf(admin: string) {
  const response = await fetch(`${admin}/api/status`, { headers: { authorization: `Bearer ${adminToken}` } });
  return (await response.json()) as {
    flags: FlagsSaid;
    capabilities: readonly { effectivePercent: number | null }[];
  };
}

const processOf = (process: SupervisedProcess): FacadeProcess => {
  const { listening: url = '', admin = '' } = process.said;
  const sideOf = async (id: string, headers: Readonly<Record<string, string>> = {}) => {
    const response = await fetch(`${url}/api/review/list.do`, {
      headers: { cookie: `banyan_id=${id}`, ...headers },
    });
    return ((await response.json()) as { by: string }).by;
  };
  return {
    process,
    url,
    admin,
    sideOf,
    async moved(ids) {
      const sides = await Promise.all(ids.map((id) => sideOf(id)));
      return ids.filter((_, index) => sides[index] === 'service');
    },
    flags: async () => (await statusOf(admin)).flags,
    effectivePercent: async () => (await statusOf(admin)).capabilities[0]?.effectivePercent ?? null,
    metrics: async () =>
      (await fetch(`${admin}/metrics`, { headers: { authorization: `Bearer ${adminToken}` } })).text(),
  };
};

export async function startFlagged(): Promise<Flagged> {
  const parent = process.env.BANYAN_TEST_FOLDER;
  if (!parent) throw new Error('run the suites by "npm test -- PATH"');
  // Beside the run's own folder, so that the next run ends what a killed one leaves behind.
  mkdirSync(dirname(parent), { recursive: true });
  const folder = mkdtempSync(join(dirname(parent), 'flags-'));
  const runFolder = await claimRunFolder(folder);
  const sides = await startSides();
  // It reads the whole of the control store here.
  await sides.legacy.query("GRANT SELECT ON banyan.* TO banyan_facade@'%'");
  const upstreams = [await startUpstream('legacy'), await startUpstream('service')];
  const [legacy, service] = upstreams.map(({ url }) => url);
  const started: SupervisedProcess[] = [];
  return {
    folder,
    async start(env, ...words) {
      const process = await startProcess({
        name: 'facade',
        runFolder,
        run: [join(root, 'facade', 'server.ts'), ...words],
        env: {
          BANYAN_CONFIG: config,
          BANYAN_FACADE_PORT: '0',
          BANYAN_ADMIN_PORT: '0',
          BANYAN_ADMIN_TOKEN: adminToken,
          BANYAN_CONTROL_URL: `${sides.url(sides.legacy.relay)}/banyan`,
          BANYAN_LEGACY_URL: sides.url(sides.legacy.relay),
          BANYAN_SERVICES_URL: sides.url(sides.service.relay),
          BANYAN_UPSTREAMS: `legacy=${legacy},reviews=${service}`,
          ...env,
        },
      });
      started.push(process);
      return processOf(process);
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
      await sides.reset(['reviews']);
      await sides.legacy.query(
        `DELETE FROM banyan.evidence; DELETE FROM banyan.capability;
         INSERT INTO banyan.capability (name, phase) VALUES ('reviews', 'synced');
         INSERT INTO banyan.evidence (capability, kind, facts) VALUES ('reviews', 'backfilled', '{}'), ('reviews', 'verified', '{}')`,
      );
    },
    async [Symbol.asyncDispose]() {
      for (const process of started.reverse()) await process.stop();
      for (const upstream of upstreams) await upstream[Symbol.asyncDispose]();
      await sides[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

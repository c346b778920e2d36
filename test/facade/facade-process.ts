// The facade as users run it: a process of its own, on any ports.
import { join } from 'node:path';
import type { RunFolder } from '../../scripts/run-folder.ts';
import { type SupervisedProcess, startProcess } from '../../scripts/supervise.ts';

export type FacadeProcess = SupervisedProcess & {
  readonly url: string;
  readonly admin: string;
  /** Its admin listener, with the token. @param path such as `/api/status` */
  ask(path: string): Promise<Response>;
};

export type FacadeStart = {
  /** For messages and the log file's name. */
  readonly name: string;
  readonly runFolder: RunFolder;
  readonly config: string;
  readonly token: string;
  /** URLs with an account of the facade's. */
  readonly databases: Readonly<Record<'control' | 'legacy' | 'services', string>>;
  /** What makes its flags, and whatever shall not be as it is here. */
  readonly env: Readonly<Record<string, string>>;
  /** Of its command line. */
  readonly words?: readonly string[];
};

const server = join(import.meta.dirname, '..', '..', 'facade', 'server.ts');

/** Starts it and waits until it listens. @throws ProcessError with its own last words when it ends before */
export async function startFacadeProcess(start: FacadeStart): Promise<FacadeProcess> {
  const { name, runFolder, config, token, databases, env, words = [] } = start;
  const facade = await startProcess({
    name,
    runFolder,
    run: [server, ...words],
    env: {
      BANYAN_CONFIG: config,
      BANYAN_FACADE_PORT: '0',
      BANYAN_ADMIN_PORT: '0',
      BANYAN_ADMIN_TOKEN: token,
      BANYAN_CONTROL_URL: databases.control,
      BANYAN_LEGACY_URL: databases.legacy,
      BANYAN_SERVICES_URL: databases.services,
      BANYAN_WARM_UP_MS_MAX: '0',
      ...env,
    },
  });
  const { listening: url = '', admin = '' } = facade.said;
  const ask = (path: string) => fetch(admin + path, { headers: { authorization: `Bearer ${token}` } });
  return { ...facade, url, admin, ask };
}

// A copy of a server's data on a server of its own number, at the address of the one that is gone: a fail-over.
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { startPrivateServer } from '../../scripts/private-server.ts';
import { claimRunFolder } from '../../scripts/run-folder.ts';
import type { Pair } from '../sync/pair.ts';

export type StandIn = { crash(): Promise<void> };

export type StandIns = {
  /** Copies the data of a server that does not run: legacy's, or another copy. */
  copy(from: number, to: number): void;
  /** At legacy's address, which must be free. */
  start(serverId: number): Promise<StandIn>;
  [Symbol.asyncDispose](): Promise<void>;
};

export async function standIns(pair: Pair): Promise<StandIns> {
  const folder = mkdtempSync(join(dirname(pair.folder), 'stand-in-'));
  const runFolder = await claimRunFolder(folder);
  const folderOf = (serverId: number) => join(serverId === 11 ? pair.folder : folder, `server-${serverId}`);
  return {
    copy: (from, to) => cpSync(folderOf(from), folderOf(to), { recursive: true }),
    start: async (serverId) => {
      const port = Number(new URL(pair.legacy.url).port);
      const server = await startPrivateServer({ folder: folderOf(serverId), runFolder, serverId, port });
      return {
        crash: async () => {
          process.kill(server.pid, 'SIGKILL');
          await server.exited;
          await server.stop();
        },
      };
    },
    [Symbol.asyncDispose]: async () => {
      await runFolder.endChildren();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

// Two servers for edge-tries.ts, and what it found.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { fenceAccountSql } from '../../scripts/accounts.ts';
import { startSides } from '../facade/sides.ts';
import type { Tried } from './edge-tries.ts';

export async function tryEdges(tries: number, seed: number, env: NodeJS.ProcessEnv = {}): Promise<Tried> {
  const sides = await startSides();
  try {
    for (const server of [sides.legacy, sides.service]) {
      for (const statement of fenceAccountSql()) await server.query(statement);
      await server.query('GRANT ALL ON *.* TO banyan_fence@localhost');
    }
    const words = {
      legacy: sides.legacy.url,
      service: sides.service.url,
      facadeLegacy: `${sides.url(sides.legacy.relay)}/banyan`,
      facadeService: `${sides.url(sides.service.relay)}/banyan`,
      tries: String(tries),
      seed: String(seed),
    };
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [
        join(import.meta.dirname, 'edge-tries.ts'),
        ...Object.entries(words).flatMap(([name, value]) => [`--${name}`, value]),
      ],
      { env: { ...process.env, ...env }, timeout: 15 * 60_000 },
    );
    return JSON.parse(stdout);
  } finally {
    await sides[Symbol.asyncDispose]();
  }
}

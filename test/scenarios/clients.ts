// Clients of the stage: each write is a row of its own, through one facade after the other, and what they are told is kept.
import { setTimeout as delay } from 'node:timers/promises';
import { Pool } from 'undici';
import type { SupervisedProcess } from '../../scripts/supervise.ts';
import { until } from '../sync/until.ts';

export type Facade = SupervisedProcess & { readonly url: string };

export type Clients = {
  /** Waits for so many more acknowledged writes. */
  more(writes: number): Promise<void>;
  stop(): Promise<void>;
};

export class ClientDesk {
  /** What a client was told that it should not have been told. */
  readonly troubles: string[] = [];
  /** Ids that clients were told are written. */
  readonly acknowledged = new Set<number>();
  readonly #facades: readonly Facade[];
  readonly #pools = new Map<string, Pool>();
  #ids = 0;
  #turn = 0;

  /** @param facades those that there are at the time */
  constructor(facades: readonly Facade[]) {
    this.#facades = facades;
  }

  nextId(): number {
    this.#ids += 1;
    return this.#ids;
  }

  /** @returns the status; 0: no answer */
  async write(id = this.nextId(), facade = this.#next()): Promise<number> {
    const pool = this.#pools.get(facade.url) ?? new Pool(facade.url, { connections: 64 });
    this.#pools.set(facade.url, pool);
    try {
      const { statusCode, body } = await pool.request({
        method: 'POST',
        path: '/things',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: `id=${id}`,
        signal: AbortSignal.timeout(20_000),
      });
      const text = await body.text();
      if (statusCode === 200) this.acknowledged.add(id);
      else this.troubles.push(`write ${id}: ${statusCode} ${text.slice(0, 200)}`);
      return statusCode;
    } catch (error) {
      this.troubles.push(`write ${id}: ${String(error)}`);
      return 0;
    }
  }

  /** They write until they are stopped. */
  start(number: number): Clients {
    let isStopped = false;
    const work = Promise.all(
      Array.from({ length: number }, async () => {
        while (!isStopped) {
          await this.write();
          await delay(10); // each has a life besides
        }
      }),
    );
    return {
      more: async (writes) => {
        const from = this.acknowledged.size;
        await until(`${writes} more writes`, () => this.acknowledged.size >= from + writes, {
          explain: async () => this.troubles.slice(-5).join('\n'),
        });
      },
      async stop() {
        isStopped = true;
        await work;
      },
    };
  }

  async close(): Promise<void> {
    for (const pool of this.#pools.values()) await pool.destroy();
  }

  #next(): Facade {
    this.#turn += 1;
    const facade = this.#facades[this.#turn % this.#facades.length];
    if (!facade) throw new Error('there is no facade');
    return facade;
  }
}

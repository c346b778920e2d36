// Workers come and go; at least one is meant to run.
import { until } from '../test/sync/until.ts';
import type { WorkerProcess } from '../test/sync/worker-process.ts';
import { capabilities, type Sides } from './sides.ts';

const successorMsMax = 30_000;

export class Workers {
  readonly #sides: Sides;
  readonly #running: WorkerProcess[] = [];

  constructor(sides: Sides) {
    this.#sides = sides;
  }

  get first(): WorkerProcess {
    const [first] = this.#running;
    if (!first) throw new Error('no worker runs');
    return first;
  }

  async start(): Promise<void> {
    this.#running.push(await this.#sides.startWorker());
  }

  /** kill -9 */
  async killFirst(): Promise<void> {
    const first = this.first;
    this.#running.shift();
    await first.kill();
  }

  /** Who runs each capability. @returns once every capability is run */
  holders(): Promise<ReadonlySet<string>> {
    return until('a worker for each capability', () => this.#holders(), { msMax: successorMsMax });
  }

  /** Resolves when none of those runs a capability any more, and somebody else does. */
  async successor(before: ReadonlySet<string>): Promise<void> {
    await until(
      'a successor',
      async () => {
        const now = await this.#holders();
        return now !== undefined && [...now].every((holder) => !before.has(holder));
      },
      { msMax: successorMsMax },
    );
  }

  async #holders(): Promise<ReadonlySet<string> | undefined> {
    const rows = await this.#sides.service.query(
      'SELECT holder FROM banyan.banyan_worker WHERE lease_until >= UNIX_TIMESTAMP(SYSDATE(6))',
    );
    return rows.length === capabilities.length
      ? new Set(rows.map(({ holder }) => String(holder)))
      : undefined;
  }
}

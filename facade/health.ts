// Whether an instance is well, by asking it: it takes several answers in a row to change one's mind.
import type { HealthCheck } from '../capability/upstream.ts';
import { ask } from './ask.ts';
import type { Pool } from './pool.ts';

export type HealthLimits = Required<HealthCheck>;

export const healthLimits = (check: HealthCheck): HealthLimits => ({
  everyMs: 2_000,
  msMax: 1_000,
  healthyAfter: 2,
  unhealthyAfter: 3,
  ...check,
});

/** Pure. A new instance is taken for well until it shows otherwise. */
export class Health {
  readonly #limits: Pick<HealthLimits, 'healthyAfter' | 'unhealthyAfter'>;
  #isHealthy = true;
  /** Answers in a row that say the contrary. */
  #contrary = 0;

  constructor(limits: Pick<HealthLimits, 'healthyAfter' | 'unhealthyAfter'>) {
    this.#limits = limits;
  }

  get isHealthy(): boolean {
    return this.#isHealthy;
  }

  /** @returns whether this has changed it */
  saw(isWell: boolean): boolean {
    if (isWell === this.#isHealthy) {
      this.#contrary = 0;
      return false;
    }
    this.#contrary += 1;
    if (this.#contrary < (isWell ? this.#limits.healthyAfter : this.#limits.unhealthyAfter)) return false;
    this.#isHealthy = isWell;
    this.#contrary = 0;
    return true;
  }
}

/** Of what a check answers, only the status counts. */
const answerBytesMax = 64 * 1024;

async function isWell(pool: Pool, { path, msMax }: HealthLimits): Promise<boolean> {
  try {
    const question = { method: 'GET', path, headers: { accept: '*/*' } } as const;
    const { status } = await ask(pool, question, { msMax, bytesMax: answerBytesMax });
    return status >= 200 && status < 300;
  } catch {
    return false; // whatever the reason, it has not answered
  }
}

/**
 * Asks until it is stopped, one question after the other.
 * @param pool beside the clients' own: a check must not wait behind them
 */
export function checkHealth(
  pool: Pool,
  limits: HealthLimits,
  saw: (isWell: boolean) => void,
): { stop(): void } {
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  const look = async () => {
    const well = await isWell(pool, limits);
    if (stopped) return;
    saw(well);
    timer = setTimeout(look, limits.everyMs);
  };
  void look();
  return {
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

// One limit of time for many that wait: whoever began to wait first is late first, so that one timer is enough for all.
import { Line, type Place } from './line.ts';

export type Waiter = {
  /** It has waited for as long as it may, and waits no longer. */
  late(): void;
};

/** Who is not to be late leaves it. */
export type Deadline = Place<Waiter>;

export class Deadlines {
  readonly #msMax: number;
  readonly #waiting = new Line<Waiter>();
  #timer: NodeJS.Timeout | undefined;
  readonly #tick = () => this.#endLate();

  constructor(msMax: number) {
    this.#msMax = msMax;
  }

  get msMax(): number {
    return this.#msMax;
  }

  begin(waiter: Waiter): Deadline {
    this.#timer ??= setTimeout(this.#tick, this.#msMax);
    return this.#waiting.join(waiter);
  }

  /** Nobody is late any more. */
  stop(): void {
    clearTimeout(this.#timer);
    while (this.#waiting.first) this.#waiting.first.leave();
  }

  #endLate(): void {
    this.#timer = undefined;
    const now = performance.now();
    for (let first = this.#waiting.first; first; first = this.#waiting.first) {
      const leftMs = first.sinceMs + this.#msMax - now;
      if (leftMs > 0) {
        this.#timer ??= setTimeout(this.#tick, Math.ceil(leftMs));
        return;
      }
      first.leave();
      first.of.late();
    }
  }
}

// One limit of time for many that wait: whoever began to wait first is late first, so that one timer is enough for all.

export type Waiter = {
  /** It has waited for as long as it may, and waits no longer. */
  late(): void;
};

export class Deadlines {
  readonly #msMax: number;
  /** Since when, by performance.now(); in the order in which they began. */
  readonly #waiting = new Map<Waiter, number>();
  #timer: NodeJS.Timeout | undefined;
  readonly #tick = () => this.#endLate();

  constructor(msMax: number) {
    this.#msMax = msMax;
  }

  get msMax(): number {
    return this.#msMax;
  }

  begin(waiter: Waiter): void {
    this.#waiting.set(waiter, performance.now());
    this.#timer ??= setTimeout(this.#tick, this.#msMax);
  }

  end(waiter: Waiter): void {
    this.#waiting.delete(waiter);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#waiting.clear();
  }

  #endLate(): void {
    this.#timer = undefined;
    const now = performance.now();
    for (const [waiter, since] of this.#waiting) {
      const leftMs = since + this.#msMax - now;
      if (leftMs > 0) {
        this.#timer ??= setTimeout(this.#tick, Math.ceil(leftMs));
        return;
      }
      this.#waiting.delete(waiter);
      waiter.late();
    }
  }
}

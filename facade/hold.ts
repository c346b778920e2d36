// Writes that wait, unread, while their owner changes: first come, first served, each for so long at most. What becomes of one is
// decided by the rule (capability/release.ts), not here.

export type Waiting = {
  /** By performance.now(): when the request came. */
  readonly since: number;
  /** It has waited for as long as it may. */
  late(): void;
};

export class Hold<W extends Waiting> {
  readonly #msMax: number;
  readonly #waiting = new Map<W, NodeJS.Timeout>();

  /** @param msMax from `since` on */
  constructor(msMax: number) {
    this.#msMax = msMax;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** Of the one that came first. */
  get oldestMs(): number {
    const first = this.first();
    return first ? performance.now() - first.since : 0;
  }

  add(waiting: W): void {
    const left = this.#msMax - (performance.now() - waiting.since);
    // A timer may be a little early by the clock that `since` is of.
    const timer = setTimeout(() => waiting.late(), Math.max(left, 0) + 2);
    this.#waiting.set(waiting, timer);
  }

  first(): W | undefined {
    const [first] = this.#waiting.keys();
    return first;
  }

  /** Frees its place. @returns whether it was there */
  remove(waiting: W): boolean {
    clearTimeout(this.#waiting.get(waiting));
    return this.#waiting.delete(waiting);
  }
}

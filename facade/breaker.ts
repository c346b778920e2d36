// A breaker before one upstream. Closed, it counts what fails; open, it lets nothing through; then a few probes decide. Pure: time and
// chance are handed in.

export type BreakerLimits = {
  /** So many failures in a row open it; 0: they do not. */
  readonly breakerFailuresMax: number;
  /** So many failures of a hundred open it, of all that ended in the window; 0: they do not. */
  readonly breakerPercentMax: number;
  /** Of fewer than these no share is taken. */
  readonly breakerVolumeMin: number;
  readonly breakerWindowMs: number;
  /** Open for so long at first, and twice as long each time that it opens again soon. */
  readonly breakerOpenMs: number;
  readonly breakerOpenMsMax: number;
  /** Let through when that is over. All must succeed. */
  readonly breakerProbes: number;
};

export type BreakerState = 'closed' | 'open' | 'half-open';

/** Of an exchange: `unknown` says nothing about the upstream. */
export type Verdict = 'good' | 'bad' | 'unknown';

/** The window moves on by a tenth. */
const slots = 10;

/** How the last seconds ended. */
class Window {
  readonly #slotMs: number;
  readonly #slot = new Float64Array(slots).fill(Number.NEGATIVE_INFINITY);
  readonly #good = new Float64Array(slots);
  readonly #bad = new Float64Array(slots);

  constructor(windowMs: number) {
    this.#slotMs = windowMs / slots;
  }

  add(isGood: boolean, nowMs: number): void {
    const slot = Math.floor(nowMs / this.#slotMs);
    const at = ((slot % slots) + slots) % slots;
    if (this.#slot[at] !== slot) {
      this.#slot[at] = slot;
      this.#good[at] = 0;
      this.#bad[at] = 0;
    }
    const counts = isGood ? this.#good : this.#bad;
    counts[at] = (counts[at] ?? 0) + 1;
  }

  sum(nowMs: number): { readonly all: number; readonly bad: number } {
    const oldest = Math.floor(nowMs / this.#slotMs) - slots + 1;
    let [all, bad] = [0, 0];
    for (let at = 0; at < slots; at++) {
      if ((this.#slot[at] ?? 0) < oldest) continue;
      bad += this.#bad[at] ?? 0;
      all += (this.#good[at] ?? 0) + (this.#bad[at] ?? 0);
    }
    return { all, bad };
  }

  clear(): void {
    this.#slot.fill(Number.NEGATIVE_INFINITY);
  }
}

export class Breaker {
  readonly #limits: BreakerLimits;
  readonly #random: () => number;
  readonly #window: Window;
  #state: BreakerState = 'closed';
  /** Grows with each change of state: what was let in before says nothing of what is now. */
  #round = 1;
  #failures = 0;
  #openUntilMs = 0;
  #closedAtMs = Number.NEGATIVE_INFINITY;
  /** How often it has opened again soon. */
  #repeats = 0;
  #probing = 0;
  #succeeded = 0;
  #why = '';

  /** @param random 0 to 1, without 1 */
  constructor(limits: BreakerLimits, random: () => number) {
    this.#limits = limits;
    this.#random = random;
    this.#window = new Window(limits.breakerWindowMs);
  }

  stateAt(nowMs: number): BreakerState {
    return this.#state === 'open' && nowMs >= this.#openUntilMs ? 'half-open' : this.#state;
  }

  /** Why it opened last; empty as long as it has not. */
  get why(): string {
    return this.#why;
  }

  /** Until probes are let through; 0 unless it is open. */
  openMsLeft(nowMs: number): number {
    return this.stateAt(nowMs) === 'open' ? this.#openUntilMs - nowMs : 0;
  }

  /** @returns a permit, which `ended` gets back once; 0: not let through */
  admit(nowMs: number): number {
    if (this.#state === 'closed') return this.#round;
    if (this.#state === 'open') {
      if (nowMs < this.#openUntilMs) return 0;
      this.#turn('half-open');
      this.#probing = 0;
      this.#succeeded = 0;
    }
    if (this.#probing === this.#limits.breakerProbes) return 0;
    this.#probing += 1;
    return this.#round;
  }

  /** @returns the new state, when this has changed it */
  ended(permit: number, verdict: Verdict, nowMs: number): BreakerState | undefined {
    if (permit !== this.#round || this.#state === 'open') return undefined;
    if (this.#state === 'half-open') return this.#probed(verdict, nowMs);
    if (verdict === 'unknown') return undefined;
    this.#window.add(verdict === 'good', nowMs);
    if (verdict === 'good') {
      this.#failures = 0;
      return undefined;
    }
    this.#failures += 1;
    const why = this.#tooMuch(nowMs);
    if (why === undefined) return undefined;
    const isSoon = nowMs - this.#closedAtMs < this.#limits.breakerWindowMs;
    return this.#open(nowMs, isSoon ? this.#repeats + 1 : 0, why);
  }

  #probed(verdict: Verdict, nowMs: number): BreakerState | undefined {
    if (verdict === 'bad') return this.#open(nowMs, this.#repeats + 1, 'a probe failed');
    // Another one is let through instead.
    if (verdict === 'unknown') this.#probing -= 1;
    else this.#succeeded += 1;
    if (this.#succeeded < this.#limits.breakerProbes) return undefined;
    this.#failures = 0;
    this.#closedAtMs = nowMs;
    this.#window.clear();
    return this.#turn('closed');
  }

  #tooMuch(nowMs: number): string | undefined {
    const { breakerFailuresMax, breakerPercentMax, breakerVolumeMin, breakerWindowMs } = this.#limits;
    if (breakerFailuresMax > 0 && this.#failures >= breakerFailuresMax)
      return `${this.#failures} failures in a row`;
    if (breakerPercentMax === 0) return undefined;
    const { all, bad } = this.#window.sum(nowMs);
    return all >= breakerVolumeMin && bad * 100 >= all * breakerPercentMax
      ? `${bad} of ${all} failed within ${breakerWindowMs} ms`
      : undefined;
  }

  #open(nowMs: number, repeats: number, why: string): BreakerState {
    const { breakerOpenMs, breakerOpenMsMax } = this.#limits;
    // Beyond 2^30 it is above any bound.
    const grown = Math.min(
      breakerOpenMs * 2 ** Math.min(repeats, 30),
      Math.max(breakerOpenMs, breakerOpenMsMax),
    );
    this.#repeats = repeats;
    // Half of it is chance: replicas that opened together do not probe together.
    this.#openUntilMs = nowMs + grown * (1 - this.#random() / 2);
    this.#why = why;
    return this.#turn('open');
  }

  #turn(state: BreakerState): BreakerState {
    this.#state = state;
    this.#round += 1;
    return state;
  }
}

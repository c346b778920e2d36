// Which instances of an upstream are left out for a while: those that failed several times in a row. Pure: time is handed in.

export type EjectionLimits = {
  /** So many failures in a row; 0: nothing is left out. */
  readonly ejectFailuresMax: number;
  /** For so long at first, and twice as long each time that it fails again soon. */
  readonly ejectMs: number;
  readonly ejectMsMax: number;
  /** Of all instances so many of a hundred at most; one stays in any case. */
  readonly ejectPercentMax: number;
};

/** Whether one more of them may be left out. */
export const mayEject = (instances: number, ejected: number, percentMax: number): boolean =>
  ejected + 1 < instances && (ejected + 1) * 100 <= instances * percentMax;

/** Of one instance. */
export class Ejection {
  readonly #limits: EjectionLimits;
  #failures = 0;
  #untilMs = Number.NEGATIVE_INFINITY;
  #repeats = 0;

  constructor(limits: EjectionLimits) {
    this.#limits = limits;
  }

  isOut(nowMs: number): boolean {
    return nowMs < this.#untilMs;
  }

  msLeft(nowMs: number): number {
    return Math.max(this.#untilMs - nowMs, 0);
  }

  succeeded(): void {
    this.#failures = 0;
  }

  /** @returns whether it should be left out; what was sent before it was says nothing more */
  failed(nowMs: number): boolean {
    if (this.isOut(nowMs)) return false;
    this.#failures += 1;
    const { ejectFailuresMax } = this.#limits;
    return ejectFailuresMax > 0 && this.#failures >= ejectFailuresMax;
  }

  eject(nowMs: number): void {
    const { ejectFailuresMax, ejectMs, ejectMsMax } = this.#limits;
    const isSoon = nowMs - this.#untilMs < ejectMsMax;
    this.#repeats = isSoon ? this.#repeats + 1 : 0;
    this.#untilMs =
      nowMs + Math.min(ejectMs * 2 ** Math.min(this.#repeats, 30), Math.max(ejectMs, ejectMsMax));
    // Back again, its first answer decides.
    this.#failures = ejectFailuresMax - 1;
  }
}

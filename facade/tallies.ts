// Reads of a capability by the side that was asked first, counted while a flag decides which. One increment or two each, in a flat
// array that only grows: whoever wants a window takes a copy before and after.
import type { Side } from '../capability/capability.ts';
import { latencyBoundsMs, type SideTally, type Tally } from '../capability/tally.ts';

const timesOf = latencyBoundsMs.length + 1;
const readsAt = 0;
const errorsAt = 1;
const timesAt = 2;
const ofSide = timesAt + timesOf;
const comparedAt = 2 * ofSide;
const differingAt = comparedAt + 1;

export class ReadTally {
  readonly #counts = new Float64Array(differingAt + 1);

  /** @param ms from the request until this side's answer, or until there was none */
  saw(side: Side, ms: number, isError: boolean): void {
    const from = side === 'legacy' ? 0 : ofSide;
    let at = 0;
    while (at < latencyBoundsMs.length && ms > (latencyBoundsMs[at] ?? 0)) at += 1;
    this.#add(from + readsAt);
    this.#add(from + timesAt + at);
    if (isError) this.#add(from + errorsAt);
  }

  compared(): void {
    this.#add(comparedAt);
  }

  differed(): void {
    this.#add(differingAt);
  }

  /** As it is now. */
  read(): Tally {
    const side = (from: number): SideTally => ({
      reads: this.#counts[from + readsAt] ?? 0,
      errors: this.#counts[from + errorsAt] ?? 0,
      times: [...this.#counts.subarray(from + timesAt, from + ofSide)],
    });
    return {
      legacy: side(0),
      service: side(ofSide),
      compared: this.#counts[comparedAt] ?? 0,
      differing: this.#counts[differingAt] ?? 0,
    };
  }

  #add(at: number): void {
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
  }
}

export class Tallies {
  readonly #byCapability: ReadonlyMap<string, ReadTally>;

  constructor(capabilities: readonly { readonly name: string }[]) {
    this.#byCapability = new Map(capabilities.map(({ name }) => [name, new ReadTally()]));
  }

  of(capability: string): ReadTally | undefined {
    return this.#byCapability.get(capability);
  }

  compared(capability: string): void {
    this.of(capability)?.compared();
  }

  differed(capability: string): void {
    this.of(capability)?.differed();
  }
}

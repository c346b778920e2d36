// Takes reads back to legacy when the service fails: this replica's at once, and everybody's by a word in the control store that all
// replicas read. It needs nobody to be alive but the facades. What it has said holds until an operator moves the reads again.
import { createConnection } from 'mysql2/promise';
import type { Logger } from 'pino';
import { figuresOf, usualAnalysis } from '../capability/analysis.ts';
import type { Capability } from '../capability/capability.ts';
import { usualLimits } from '../capability/gate.ts';
import { isJudged, type Standing } from '../capability/phase.ts';
import { type Return, writeReturn } from '../capability/read-shift.ts';
import type { ControlView } from './control-view.ts';
import type { Metrics } from './metrics.ts';
import { lookEveryMs, Recent, type Verdict } from './recent.ts';
import type { Tallies } from './tallies.ts';
import { within } from './within.ts';

export type GuardDeps = {
  readonly capabilities: readonly Pick<Capability, 'name' | 'analysis' | 'gates'>[];
  readonly control: Pick<ControlView, 'standing'>;
  readonly tallies: Tallies;
  /** @throws when it cannot be written now; it is tried again */
  readonly write: (of: Omit<Return, 'facade'>) => Promise<unknown>;
  readonly metrics: Pick<Metrics, 'returned'>;
  readonly log: Logger;
};

export type Guard = {
  /** As the control store says, with what this replica has seen and the store may not know yet. */
  standing(capability: string): Standing | undefined;
  stop(): Promise<void>;
};

const writeMsMax = 2_000;

/** With the account of the facade, which may do no more than this. */
export const returnsTo =
  (uri: string, facade: string): GuardDeps['write'] =>
  async (of) => {
    const connection = await createConnection({ uri, connectTimeout: writeMsMax });
    connection.on('error', () => {}); // the write says it
    try {
      await within(writeReturn(connection, { ...of, facade }), writeMsMax);
    } finally {
      connection.destroy();
    }
  };

/** One capability. */
class Guarded {
  readonly #deps: GuardDeps;
  readonly #name: string;
  readonly #recent: Recent;
  #round: bigint | undefined;
  /** What this replica has seen, in which round. */
  #returned: { readonly round: bigint; readonly at: string; readonly verdict: Verdict } | undefined;
  /** The standing with that in it, made once for each that the store says. */
  #said: Standing | undefined;
  #told: Standing | undefined;
  #writing: Promise<void> | undefined;

  constructor(deps: GuardDeps, { name, analysis, gates }: GuardDeps['capabilities'][number]) {
    this.#deps = deps;
    this.#name = name;
    const { parityMin } = { ...usualLimits, ...gates };
    this.#recent = new Recent({ ...usualAnalysis, ...analysis }, parityMin);
  }

  standing(): Standing | undefined {
    const said = this.#deps.control.standing(this.#name);
    const own = this.#returned;
    if (!own || !said?.reads || said.reads.round !== own.round || said.reads.returned) return said;
    if (this.#said !== said) {
      this.#said = said;
      this.#told = {
        ...said,
        reads: { ...said.reads, returned: { at: own.at, why: own.verdict.why } },
      };
    }
    return this.#told;
  }

  look(): void {
    const said = this.#deps.control.standing(this.#name);
    const round = said?.reads?.round;
    if (round !== this.#round) this.#recent.clear();
    this.#round = round;
    if (this.#returned && said?.reads && !said.reads.returned && round === this.#returned.round)
      this.#write();
    const tally = this.#deps.tallies.of(this.#name);
    if (round === undefined || !tally || !isJudged(this.standing())) {
      this.#recent.clear();
      return;
    }
    const verdict = this.#recent.look(tally.read());
    if (!verdict) return;
    const { metrics, log } = this.#deps;
    this.#returned = { round, at: `${new Date().toISOString().slice(0, 19)}Z`, verdict };
    metrics.returned(this.#name, verdict.check);
    log.error(
      {
        capability: this.#name,
        check: verdict.check,
        why: verdict.why,
        figures: figuresOf(verdict.recent),
      },
      'the service fails: its reads go back to legacy',
    );
    this.#write();
  }

  async stop(): Promise<void> {
    await this.#writing;
  }

  #write(): void {
    const own = this.#returned;
    if (!own || this.#writing) return;
    const { write, log } = this.#deps;
    const { round, verdict } = own;
    this.#writing = write({
      capability: this.#name,
      round,
      reason: verdict.why,
      figures: { check: verdict.check, ...figuresOf(verdict.recent) },
    }).then(
      () => {
        this.#writing = undefined;
      },
      (error) => {
        this.#writing = undefined;
        log.error(
          { err: error, capability: this.#name },
          'that its reads went back cannot be written down: other replicas judge for themselves',
        );
      },
    );
  }
}

export function createGuard(deps: GuardDeps): Guard {
  const guarded = new Map(deps.capabilities.map((each) => [each.name, new Guarded(deps, each)]));
  const timer = setInterval(() => {
    for (const each of guarded.values()) each.look();
  }, lookEveryMs);
  return {
    standing: (capability) => guarded.get(capability)?.standing(),
    async stop() {
      clearInterval(timer);
      for (const each of guarded.values()) await each.stop();
    },
  };
}

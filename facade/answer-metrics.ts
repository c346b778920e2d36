// What is counted with every request. Counted in plain numbers, found without hashing labels, and told to prom-client when
// somebody scrapes: through prom-client itself it would cost as much as routing.
import { Counter, Histogram, type Registry } from 'prom-client';
import type { Side } from '../capability/capability.ts';
import { isUnpinned, type Reason } from './choose-side.ts';

export type Observed = {
  /** `none` for a request that no capability declares. */
  readonly capability: string;
  readonly side: Side;
  readonly kind: 'read' | 'write' | 'other';
  readonly status: number;
  /** Until the head of the answer went out. */
  readonly seconds: number;
};

const secondsName = 'banyan_facade_answer_seconds';
const secondsHelp = 'From the head of a request to the head of its answer.';
const bounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30] as const;

/** A count over the last 60 seconds. */
export class LastMinute {
  readonly #now: () => number;
  readonly #seconds = new Float64Array(60);
  readonly #counts = new Float64Array(60);

  /** @param now milliseconds */
  constructor(now: () => number) {
    this.#now = now;
  }

  add(): void {
    const second = Math.floor(this.#now() / 1000);
    const at = second % 60;
    if (this.#seconds[at] !== second) {
      this.#seconds[at] = second;
      this.#counts[at] = 0;
    }
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
  }

  count(): number {
    const from = Math.floor(this.#now() / 1000) - 60;
    return this.#counts.reduce((sum, count, at) => sum + ((this.#seconds[at] ?? 0) > from ? count : 0), 0);
  }
}

/** The answers of one capability, side and kind. */
class Answers {
  readonly labels: Pick<Observed, 'capability' | 'side' | 'kind'>;
  /** By the first digit of the status. */
  readonly statuses = new Float64Array(10);
  /** By the first bound that is not below; the last is beyond all. */
  readonly times = new Float64Array(bounds.length + 1);
  seconds = 0;
  readonly lastMinute: LastMinute;

  constructor({ capability, side, kind }: Observed, now: () => number) {
    this.labels = { capability, side, kind };
    this.lastMinute = new LastMinute(now);
  }

  add(status: number, seconds: number): void {
    const digit = Math.floor(status / 100);
    this.statuses[digit] = (this.statuses[digit] ?? 0) + 1;
    let at = 0;
    while (at < bounds.length && seconds > (bounds[at] ?? 0)) at += 1;
    this.times[at] = (this.times[at] ?? 0) + 1;
    this.seconds += seconds;
  }

  /** The samples of a histogram, as prom-client makes them. */
  samples() {
    let below = 0;
    const buckets = [...bounds, '+Inf'].map((le, at) => {
      below += this.times[at] ?? 0;
      return {
        labels: { ...this.labels, le },
        sharedLabels: {},
        value: below,
        metricName: `${secondsName}_bucket`,
      };
    });
    return [
      ...buckets,
      { labels: { ...this.labels }, sharedLabels: {}, value: this.seconds, metricName: `${secondsName}_sum` },
      { labels: { ...this.labels }, sharedLabels: {}, value: below, metricName: `${secondsName}_count` },
    ];
  }
}

/** Of one capability; looked up by what there are only few of. */
class OfCapability {
  readonly answers: (Answers | undefined)[] = [];
  readonly choices = { legacy: new Map<Reason, number>(), service: new Map<Reason, number>() };
  readonly unpinned: Readonly<Record<Side, LastMinute>>;

  constructor(now: () => number) {
    this.unpinned = { legacy: new LastMinute(now), service: new LastMinute(now) };
  }
}

const placeOf = (side: Side, kind: Observed['kind']) =>
  (side === 'legacy' ? 0 : 3) + (kind === 'read' ? 0 : kind === 'write' ? 1 : 2);

/** Its samples are ours: prom-client's own are not used. */
class AnswerSeconds extends Histogram<'capability' | 'side' | 'kind' | 'le'> {
  readonly #answers: () => Iterable<Answers>;

  constructor(answers: () => Iterable<Answers>, registers: Registry[]) {
    super({
      name: secondsName,
      help: secondsHelp,
      labelNames: ['capability', 'side', 'kind'],
      buckets: [...bounds],
      registers,
    });
    this.#answers = answers;
  }

  /** What prom-client asks for, whichever form it writes. */
  async getForPromString() {
    const values = [...this.#answers()].flatMap((each) => each.samples());
    return { name: secondsName, help: secondsHelp, type: 'histogram', aggregator: 'sum', values };
  }
}

export class AnswerMetrics {
  readonly #now: () => number;
  readonly #capabilities = new Map<string, OfCapability>();

  /** @param now milliseconds */
  constructor(registry: Registry, now: () => number) {
    this.#now = now;
    const registers = [registry];
    const answers = () => this.#answers();
    const choices = () => this.#capabilities;
    new Counter({
      name: 'banyan_facade_requests_total',
      help: 'Answers, by capability ("none": undeclared), the side that answered, kind and class of status.',
      labelNames: ['capability', 'side', 'kind', 'status'],
      registers,
      collect() {
        this.reset();
        for (const { labels, statuses } of answers())
          for (const [digit, count] of statuses.entries())
            if (count > 0) this.inc({ ...labels, status: `${digit}xx` }, count);
      },
    });
    new AnswerSeconds(answers, registers);
    new Counter({
      name: 'banyan_facade_choices_total',
      help: 'Why a side was chosen.',
      labelNames: ['capability', 'side', 'reason'],
      registers,
      collect() {
        this.reset();
        for (const [capability, of] of choices())
          for (const side of ['legacy', 'service'] as const)
            for (const [reason, count] of of.choices[side]) this.inc({ capability, side, reason }, count);
      },
    });
  }

  observe(observed: Observed): void {
    const { capability, side, kind, status, seconds } = observed;
    const { answers } = this.#of(capability);
    const place = placeOf(side, kind);
    let found = answers[place];
    if (!found) {
      found = new Answers(observed, this.#now);
      answers[place] = found;
    }
    found.add(status, seconds);
    if (kind === 'read') found.lastMinute.add();
  }

  chose(capability: string, side: Side, reason: Reason): void {
    const of = this.#of(capability);
    const counts = of.choices[side];
    counts.set(reason, (counts.get(reason) ?? 0) + 1);
    if (isUnpinned(reason)) of.unpinned[side].add();
  }

  readsLastMinute(capability: string, side: Side): number {
    return this.#of(capability).answers[placeOf(side, 'read')]?.lastMinute.count() ?? 0;
  }

  unpinnedReadsLastMinute(capability: string, side: Side): number {
    return this.#of(capability).unpinned[side].count();
  }

  #of(capability: string): OfCapability {
    let of = this.#capabilities.get(capability);
    if (!of) {
      of = new OfCapability(this.#now);
      this.#capabilities.set(capability, of);
    }
    return of;
  }

  *#answers(): Generator<Answers> {
    for (const { answers } of this.#capabilities.values()) for (const each of answers) if (each) yield each;
  }
}

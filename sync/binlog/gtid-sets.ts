// Transactions that are known, as values: MariaDB's list and MySQL's set, parsed, compared, printed.

/** A text that is no position, or no part of one. */
export class PositionError extends Error {
  override name = 'PositionError';
}

// ---- MariaDB: the last transaction of each domain

export type MariadbGtid = { readonly domain: number; readonly server: number; readonly sequence: bigint };

const mariadbGtidPattern = /^(\d+)-(\d+)-(\d+)$/;

/** By domain. */
export class MariadbGtidList {
  readonly #last = new Map<number, MariadbGtid>();
  #printed: string | undefined;

  /** @throws PositionError */
  static parse(text: string): MariadbGtidList {
    const list = new MariadbGtidList();
    for (const part of text.split(',').map((each) => each.trim())) {
      if (part === '') continue;
      const [, domain, server, sequence] = mariadbGtidPattern.exec(part) ?? [];
      if (domain === undefined || server === undefined || sequence === undefined)
        throw new PositionError(`"${part}" is no GTID of MariaDB (domain-server-sequence)`);
      if (list.#last.has(Number(domain))) throw new PositionError(`domain ${domain} is in "${text}" twice`);
      list.add({ domain: Number(domain), server: Number(server), sequence: BigInt(sequence) });
    }
    return list;
  }

  add(gtid: MariadbGtid): void {
    this.#last.set(gtid.domain, gtid);
    this.#printed = undefined;
  }

  has(gtid: MariadbGtid): boolean {
    const last = this.#last.get(gtid.domain);
    return last !== undefined && gtid.sequence <= last.sequence;
  }

  /** True when every transaction of the other list is in this one too. */
  covers(other: MariadbGtidList): boolean {
    for (const gtid of other.#last.values()) {
      const own = this.#last.get(gtid.domain);
      if (!own || own.sequence < gtid.sequence) return false;
      // The same sequence number by two servers is two different transactions.
      if (own.sequence === gtid.sequence && own.server !== gtid.server) return false;
    }
    return true;
  }

  toString(): string {
    this.#printed ??= [...this.#last.values()]
      .sort((a, b) => a.domain - b.domain)
      .map(({ domain, server, sequence }) => `${domain}-${server}-${sequence}`)
      .join(',');
    return this.#printed;
  }
}

// ---- MySQL: all transactions, as intervals by source

/** First and last, both included. */
export type Interval = readonly [first: bigint, last: bigint];

export type MysqlGtid = {
  /** In lower case, with hyphens. */
  readonly uuid: string;
  /** Empty for none. */
  readonly tag: string;
  readonly sequence: bigint;
};

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const tagPattern = /^[a-z_][a-z0-9_]{0,31}$/;
const intervalPattern = /^(\d+)(?:-(\d+))?$/;

function merged(intervals: readonly Interval[]): Interval[] {
  const sorted = [...intervals].sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0));
  const out: [bigint, bigint][] = [];
  for (const [first, last] of sorted) {
    const previous = out.at(-1);
    if (previous && first <= previous[1] + 1n) {
      if (last > previous[1]) previous[1] = last;
    } else out.push([first, last]);
  }
  return out;
}

export class MysqlGtidSet {
  /** Sorted and apart, by `uuid` or `uuid:tag`. */
  readonly #intervals = new Map<string, Interval[]>();
  #printed: string | undefined;

  /** @throws PositionError */
  static parse(text: string): MysqlGtidSet {
    const set = new MysqlGtidSet();
    for (const part of text.split(',').map((each) => each.trim().toLowerCase())) {
      if (part === '') continue;
      const [uuid = '', ...rest] = part.split(':').map((each) => each.trim());
      if (!uuidPattern.test(uuid)) throw new PositionError(`"${part}" begins with no server UUID`);
      if (rest.length === 0) throw new PositionError(`"${part}" names no transactions`);
      let tag = '';
      for (const each of rest) {
        const [, first, last = first] = intervalPattern.exec(each) ?? [];
        if (first !== undefined && last !== undefined) {
          if (BigInt(first) < 1n || BigInt(last) < BigInt(first))
            throw new PositionError(`"${each}" in "${part}" is no interval`);
          set.addInterval(uuid, tag, [BigInt(first), BigInt(last)]);
        } else if (tagPattern.test(each)) tag = each;
        else throw new PositionError(`"${each}" in "${part}" is neither an interval nor a tag`);
      }
    }
    return set;
  }

  addInterval(uuid: string, tag: string, interval: Interval): void {
    const key = tag === '' ? uuid : `${uuid}:${tag}`;
    this.#printed = undefined;
    const intervals = this.#intervals.get(key);
    const last = intervals?.at(-1);
    // The next number of a source, which is nearly always what comes.
    if (intervals && last && interval[0] === last[1] + 1n) {
      intervals[intervals.length - 1] = [last[0], interval[1]];
      return;
    }
    this.#intervals.set(key, merged([...(intervals ?? []), interval]));
  }

  add({ uuid, tag, sequence }: MysqlGtid): void {
    this.addInterval(uuid, tag, [sequence, sequence]);
  }

  has({ uuid, tag, sequence }: MysqlGtid): boolean {
    const intervals = this.#intervals.get(tag === '' ? uuid : `${uuid}:${tag}`) ?? [];
    return intervals.some(([first, last]) => first <= sequence && sequence <= last);
  }

  covers(other: MysqlGtidSet): boolean {
    for (const [key, intervals] of other.#intervals) {
      const own = this.#intervals.get(key) ?? [];
      for (const [first, last] of intervals)
        if (!own.some((each) => each[0] <= first && last <= each[1])) return false;
    }
    return true;
  }

  /** `[uuid, tag, intervals]`, by uuid and then tag, none first: the order of the server's own encoding. */
  entries(): [uuid: string, tag: string, intervals: readonly Interval[]][] {
    return [...this.#intervals]
      .map(([key, intervals]): [string, string, readonly Interval[]] => {
        const [uuid = '', tag = ''] = key.split(':');
        return [uuid, tag, intervals];
      })
      .sort(([a, aTag], [b, bTag]) => (`${a}:${aTag}` < `${b}:${bTag}` ? -1 : 1));
  }

  /** As the server prints gtid_executed, on one line. */
  toString(): string {
    if (this.#printed !== undefined) return this.#printed;
    let text = '';
    let lastUuid = '';
    for (const [uuid, tag, intervals] of this.entries()) {
      const ranges = intervals
        .map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`))
        .join(':');
      if (uuid !== lastUuid) text += `${text === '' ? '' : ','}${uuid}`;
      text += tag === '' ? `:${ranges}` : `:${tag}:${ranges}`;
      lastUuid = uuid;
    }
    this.#printed = text;
    return text;
  }
}

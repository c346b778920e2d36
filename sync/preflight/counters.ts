// Numbers that run out: AUTO_INCREMENT against the smallest type that its values meet on their way, and ids that the
// other side cannot hold.
import type { Domain } from '../../acl/domain.ts';
import type { Side } from '../../capability/capability.ts';
import type { Finding } from './finding.ts';
import type { ColumnPair, Link } from './links.ts';
import type { ColumnFacts } from './schema-facts.ts';
import { serverOf } from './table-findings.ts';

const warnPercent = 80n;
const refusePercent = 95n;

const bitsOf: Readonly<Record<string, bigint>> = {
  tinyint: 8n,
  smallint: 16n,
  mediumint: 24n,
  int: 32n,
  bigint: 64n,
};

/** The greatest value of a whole-number column; undefined for any other. */
export function greatest({ type, fullType }: Pick<ColumnFacts, 'type' | 'fullType'>): bigint | undefined {
  const bits = bitsOf[type];
  if (bits === undefined) return undefined;
  return (1n << (/unsigned/i.test(fullType) ? bits : bits - 1n)) - 1n;
}

function domainMax(domain: Domain): bigint | undefined {
  if (domain.kind === 'digits') return domain.max;
  if (domain.kind !== 'integer') return undefined;
  return BigInt(Math.floor(domain.max));
}

type Limit = { readonly max: bigint; readonly by: string };

const least = (limits: readonly (Limit | undefined)[]): Limit | undefined =>
  limits.reduce(
    (one, other) => (one && other ? (other.max < one.max ? other : one) : (one ?? other)),
    undefined,
  );

const limitOf = (max: bigint | undefined, by: string): Limit | undefined =>
  max === undefined ? undefined : { max, by };

const otherSide = (side: Side): Side => (side === 'legacy' ? 'service' : 'legacy');

const nameOf = ({ schemas, tables }: Link, side: Side, column: ColumnFacts) =>
  `${schemas[side]}.${tables[side].table}.${column.name}`;

/** What bounds the values that come from this side's column. */
function limitsOf(link: Link, pair: ColumnPair, side: Side): (Limit | undefined)[] {
  const { facts, domain } = pair[side];
  const other = pair[otherSide(side)].facts;
  const name = nameOf(link, otherSide(side), other);
  return [
    limitOf(greatest(facts), `its type, ${facts.fullType}`),
    limitOf(greatest(other), `${name}, ${other.fullType}`),
    limitOf(domainMax(domain), 'its translator'),
  ];
}

function counterFindings(links: readonly Link[], side: Side): Finding[] {
  const limits = new Map<string, { link: Link; column: ColumnFacts; limit: Limit | undefined }>();
  for (const link of links)
    for (const pair of link.pairs) {
      const column = pair[side].facts;
      if (!column.isCounter) continue;
      const name = nameOf(link, side, column);
      const known = limits.get(name)?.limit;
      limits.set(name, { link, column, limit: least([known, ...limitsOf(link, pair, side)]) });
    }
  return [...limits].flatMap(([object, { link, limit }]): Finding[] => {
    const { counter } = link.tables[side];
    if (!limit || counter === undefined || counter * 100n < limit.max * warnPercent) return [];
    return [
      {
        code: 'counter-headroom',
        severity: counter * 100n >= limit.max * refusePercent ? 'refuse' : 'warn',
        server: serverOf(side),
        capability: link.capability,
        object,
        what: `the next AUTO_INCREMENT value is ${counter}, ${(counter * 100n) / limit.max} % of ${limit.max}, which is the most by ${limit.by}`,
        remedy: 'make the column larger on both sides (BIGINT), and what the translator accepts',
      },
    ];
  });
}

/** Key columns of whole numbers: what one side may give must fit the other. */
function narrowerFindings(link: Link, side: Side): Finding[] {
  const there = otherSide(side);
  return link.pairs.flatMap((pair): Finding[] => {
    const [from, to] = [pair[side], pair[there]];
    const own = least([limitOf(greatest(from.facts), ''), limitOf(domainMax(from.domain), '')]);
    const max = greatest(to.facts);
    const isKey = link.keys[side].includes(from.facts.name);
    if (!isKey || !own || max === undefined || own.max <= max) return [];
    return [
      {
        code: 'id-narrower',
        severity: 'warn',
        server: serverOf(there),
        capability: link.capability,
        object: nameOf(link, there, to.facts),
        what: `${to.facts.fullType} holds up to ${max}; ${nameOf(link, side, from.facts)} may have ${own.max}`,
        remedy: `make the column a ${from.facts.fullType}`,
      },
    ];
  });
}

export function numberFindings(links: readonly Link[]): Finding[] {
  return [
    ...counterFindings(links, 'legacy'),
    ...counterFindings(links, 'service'),
    ...links.flatMap((link) => narrowerFindings(link, 'legacy')),
    // Nothing comes back from a reference table.
    ...links.filter(({ isReference }) => !isReference).flatMap((link) => narrowerFindings(link, 'service')),
  ];
}

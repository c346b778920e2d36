// A row that one server takes must fit into a statement for the other.
import type { Side } from '../../capability/capability.ts';
import type { Finding } from './finding.ts';
import type { Link } from './links.ts';
import type { ServerFacts } from './server-facts.ts';
import { serverOf } from './table-findings.ts';

/** About how many bytes of a statement the largest row of a table takes; bytes are written as hexadecimal digits. */
const rowBytesMax = (link: Link, side: Side) =>
  link.pairs.reduce((sum, pair) => {
    const { bytesMax, charset } = pair[side].facts;
    return sum + bytesMax * (charset === undefined ? 2 : 1) + 24;
  }, 0);

export function packetFindings(
  links: readonly Link[],
  servers: Readonly<Record<Side, ServerFacts>>,
): Finding[] {
  const packet = (side: Side) => Number(servers[side].variables.get('max_allowed_packet') ?? 0);
  const from = (source: Side, target: Side) =>
    links
      .filter(({ isReference }) => source === 'legacy' || !isReference)
      .filter((link) => packet(source) > packet(target) && rowBytesMax(link, source) > packet(target))
      .map(
        ({ capability, schemas, tables }): Finding => ({
          code: 'packet-small',
          severity: 'warn',
          server: serverOf(target),
          capability,
          object: `${schemas[target]}.${tables[target].table}`,
          what: `max_allowed_packet is ${packet(target)} here and ${packet(source)} on the other server: a large row of ${schemas[source]}.${tables[source].table} would not fit into a statement`,
          remedy: `SET GLOBAL max_allowed_packet = ${packet(source)}, and the same in the server's configuration`,
        }),
      );
  return [...from('legacy', 'service'), ...from('service', 'legacy')];
}

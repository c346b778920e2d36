// What two servers must not have in common, and what they must.
import type { Finding } from './finding.ts';
import type { ServerFacts } from './server-facts.ts';

/** What no two servers share: where their data is. */
const place = ({ variables }: ServerFacts) =>
  ['hostname', 'port', 'datadir', 'server_uuid'].map((name) => variables.get(name) ?? '').join('\0');

export function pairFindings(legacy: ServerFacts, services: ServerFacts): Finding[] {
  const value = (facts: ServerFacts, name: string) => facts.variables.get(name) ?? '';
  if (place(legacy) === place(services))
    return [
      {
        code: 'same-server',
        severity: 'refuse',
        server: 'services',
        object: `${value(services, 'hostname')}:${value(services, 'port')}`,
        what: 'both URLs lead to one server: each side needs a fence and a binlog of its own',
        remedy: "give the services' schema a server of its own",
      },
    ];
  const findings: Finding[] = [];
  const id = value(legacy, 'server_id');
  if (id === value(services, 'server_id') && id !== '0')
    findings.push({
      code: 'server-id-same',
      severity: 'warn',
      server: 'services',
      object: 'server_id',
      what: `both servers have server_id ${id}: a position of one could be taken for one of the other`,
      remedy: 'give one of them another server_id',
    });
  const [one, other] = [value(legacy, 'lower_case_table_names'), value(services, 'lower_case_table_names')];
  if (one !== other)
    findings.push({
      code: 'case-differs',
      severity: 'warn',
      server: 'services',
      object: 'lower_case_table_names',
      what: `lower_case_table_names is ${one} on legacy and ${other} here: names that are two on one server are one on the other`,
      remedy: 'write every name in the configuration as its own server has it',
    });
  return findings;
}

// One thing that would break, with its remedy. docs/doctor.md explains each code.

/** Every code that there is; docs/doctor.md has a line for each. */
export const findingCodes = [
  'unreachable',
  'not-installed',
  'not-all-seen',
  'privilege-missing',
  'write-refused',
  'dump-refused',
  'can-bypass',
  'same-server',
  'server-id',
  'server-id-same',
  'case-differs',
  'multi-writer',
  'read-only',
  'binlog-off',
  'binlog-format',
  'binlog-row-image',
  'binlog-row-metadata',
  'binlog-partial-json',
  'binlog-checksum',
  'binlog-filtered',
  'binlog-relayed',
  'retention-short',
  'retention-by-size',
  'not-durable',
  'sysdate-is-now',
  'deadlock-detect-off',
  'snapshot-isolation',
  'lock-waits-hidden',
  'net-write-timeout',
  'packet-small',
  'local-infile-off',
  'xa-in-use',
  'table-missing',
  'name-case',
  'column-missing',
  'column-without-default',
  'no-primary-key',
  'key-differs',
  'not-innodb',
  'partitioned',
  'cascade-into',
  'trigger-on-target',
  'generated-column',
  'identity-differs',
  'id-narrower',
  'counter-headroom',
  'unique-only-on-target',
  'collation-merges',
] as const;

export type FindingCode = (typeof findingCodes)[number];

export type Severity = 'refuse' | 'warn';

export type FindingServer = 'legacy' | 'services' | 'control';

export type Finding = {
  readonly code: FindingCode;
  /** `refuse`: it will break, or lose a write. `warn`: it may, or it goes slower. */
  readonly severity: Severity;
  readonly server: FindingServer;
  readonly capability?: string;
  /** What has it: a setting, `schema.table`, `schema.table.column`, an account. */
  readonly object: string;
  readonly what: string;
  readonly remedy: string;
};

/** Those that refuse first; then by server, capability, object. */
export function inOrder(findings: readonly Finding[]): Finding[] {
  const key = ({ severity, server, capability = '', object, code }: Finding) =>
    [severity, server, capability, object, code].join('\0');
  return findings.toSorted((a, b) => (key(a) < key(b) ? -1 : 1));
}

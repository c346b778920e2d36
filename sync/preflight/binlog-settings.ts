// What of a server's settings keeps its binlog from being read, or read exactly.
import type { Finding, FindingServer } from './finding.ts';
import type { ServerFacts } from './server-facts.ts';
import { everywhere, is, isNot, isOff, type Rule, reconnect, settingFindings } from './setting-rules.ts';

const binlogRules: readonly Rule[] = [
  {
    variable: 'log_bin',
    code: 'binlog-off',
    severity: 'refuse',
    isFault: isOff,
    why: 'there is nothing that changes could be read from',
    remedy:
      'start the server with --log-bin, --binlog-format=ROW, --binlog-row-image=FULL, --binlog-row-metadata=FULL',
  },
  {
    variable: 'binlog_format',
    code: 'binlog-format',
    severity: 'refuse',
    isFault: isNot('ROW'),
    why: 'changes logged as statements stop the stream',
    remedy: everywhere('binlog_format = ROW') + reconnect,
  },
  {
    variable: 'binlog_row_image',
    code: 'binlog-row-image',
    severity: 'refuse',
    // FULL_NODUP leaves the unchanged columns out of the image after.
    isFault: isNot('FULL'),
    why: 'rows are logged without some of their columns, and that stops the stream',
    remedy: everywhere('binlog_row_image = FULL') + reconnect,
  },
  {
    variable: 'binlog_row_metadata',
    code: 'binlog-row-metadata',
    severity: 'refuse',
    isFault: isNot('FULL'),
    why: 'rows are logged without the names of their columns, and names from a later catalog could be wrong ones: the reader stops',
    remedy: everywhere('binlog_row_metadata = FULL'),
  },
  {
    variable: 'binlog_row_value_options',
    code: 'binlog-partial-json',
    severity: 'refuse',
    isFault: (value) => /PARTIAL_JSON/i.test(value),
    why: 'changes of JSON columns are logged as differences, which the reader refuses',
    remedy: everywhere("binlog_row_value_options = ''") + reconnect,
  },
  {
    variable: 'binlog_checksum',
    code: 'binlog-checksum',
    severity: 'warn',
    isFault: is('NONE'),
    why: 'damage on the disk or on the way is not noticed',
    remedy: everywhere('binlog_checksum = CRC32'),
  },
];

/** @param schemas those whose changes must be logged */
function filterFindings(
  server: FindingServer,
  { filters }: ServerFacts,
  schemas: readonly string[],
): Finding[] {
  if (!filters) return [];
  const lost = schemas.filter(
    (schema) => (filters.only.length > 0 && !filters.only.includes(schema)) || filters.not.includes(schema),
  );
  return lost.map((schema) => ({
    code: 'binlog-filtered',
    severity: 'refuse',
    server,
    object: schema,
    what: `binlog_do_db and binlog_ignore_db leave changes of schema ${schema} out of the binlog`,
    remedy: `take the filters out of the server's configuration, or add ${schema} to what is logged`,
  }));
}

/** Everything in the settings that keeps the binlog from being read. `schemas`: those whose changes must be logged. */
export function binlogFindings(
  server: FindingServer,
  facts: ServerFacts,
  schemas: readonly string[],
): Finding[] {
  const findings = settingFindings(server, facts, binlogRules);
  if (!facts.variables.has('binlog_row_metadata'))
    findings.push({
      code: 'binlog-row-metadata',
      severity: 'refuse',
      server,
      object: 'binlog_row_metadata',
      what: `version ${facts.version} cannot log the names of columns, without which the reader stops`,
      remedy: 'MariaDB 10.5 or MySQL 8.0.1 and later can',
    });
  const relays =
    facts.variables.get('log_slave_updates') ?? facts.variables.get('log_replica_updates') ?? 'ON';
  if (facts.isReplica && isOff(relays))
    findings.push({
      code: 'binlog-relayed',
      severity: 'refuse',
      server,
      object: 'log_slave_updates',
      what: 'the server follows another one and does not log what comes from there',
      remedy: 'start it with --log-slave-updates, or name the server that it follows',
    });
  return [...findings, ...filterFindings(server, facts, schemas)];
}

// What of a server's settings loses a commit, breaks a fence, or slows the worker down.
import type { Finding, FindingServer } from './finding.ts';
import type { ServerFacts } from './server-facts.ts';
import { everywhere, is, isBelow, isNot, isOff, type Rule, settingFindings } from './setting-rules.ts';

/** The worker's statements have a million characters, of up to four bytes each. */
const packetBytesMin = 4 * 1024 * 1024;
const netWriteSecondsMin = 30;

const owning =
  'the capability must not be owned until then, for after a crash of the machine both sides could accept writes';

const engineRules: readonly Rule[] = [
  {
    variable: 'sync_binlog',
    code: 'not-durable',
    severity: 'refuse',
    isFault: isNot('1'),
    why: `commits are read before they are on the disk: ${owning}`,
    remedy: everywhere('sync_binlog = 1'),
  },
  {
    variable: 'innodb_flush_log_at_trx_commit',
    code: 'not-durable',
    severity: 'refuse',
    isFault: isNot('1'),
    why: `a crash can take back what was committed: ${owning}`,
    remedy: everywhere('innodb_flush_log_at_trx_commit = 1'),
  },
  {
    variable: 'innodb_doublewrite',
    code: 'not-durable',
    severity: 'refuse',
    // MySQL's DETECT_ONLY finds a torn page, and cannot mend it.
    isFault: is('OFF', '0', 'FALSE', 'DETECT_ONLY'),
    why: `a page half written in a crash is lost: ${owning}`,
    remedy: 'start the server with --innodb-doublewrite=ON',
  },
  {
    variable: 'innodb_deadlock_detect',
    code: 'deadlock-detect-off',
    severity: 'warn',
    isFault: isOff,
    why: 'a deadlock between the worker and an application lasts until a lock wait ends',
    remedy: everywhere('innodb_deadlock_detect = ON'),
  },
  {
    variable: 'innodb_snapshot_isolation',
    code: 'snapshot-isolation',
    severity: 'warn',
    isFault: is('ON', '1'),
    why: 'a transaction older than a change of owner gets error 1020, not the message of the fence; the application must try such a transaction again',
    remedy: `${everywhere('innodb_snapshot_isolation = OFF')}, or know that it is on`,
  },
  {
    variable: 'net_write_timeout',
    code: 'net-write-timeout',
    severity: 'warn',
    isFault: isBelow(netWriteSecondsMin),
    why: `a worker that reads a chunk slowly is cut off; ${netWriteSecondsMin} s are enough`,
    remedy: everywhere('net_write_timeout = 60'),
  },
  {
    variable: 'max_allowed_packet',
    code: 'packet-small',
    severity: 'refuse',
    isFault: isBelow(packetBytesMin),
    why: `the worker's statements have up to ${packetBytesMin} bytes`,
    remedy: everywhere('max_allowed_packet = 67108864'),
  },
  {
    variable: 'local_infile',
    code: 'local-infile-off',
    severity: 'warn',
    isFault: isOff,
    why: 'many new rows cannot go in by LOAD DATA, and a backfill is slower',
    remedy: everywhere('local_infile = ON'),
  },
  {
    variable: 'read_only',
    code: 'read-only',
    severity: 'refuse',
    isFault: isNot('OFF', '0'),
    why: 'the worker writes on both sides: rows and positions on the target, heartbeats on the source',
    remedy: 'SET GLOBAL read_only = OFF, or name the server that takes writes',
  },
  {
    variable: 'wsrep_on',
    code: 'multi-writer',
    severity: 'refuse',
    isFault: is('ON', '1'),
    why: 'row locks of a Galera cluster are local to a node: the fence on one does not hold on another',
    remedy: 'have all writes go to a server that is not part of a multi-writer cluster',
  },
  {
    variable: 'server_id',
    code: 'server-id',
    severity: 'refuse',
    isFault: is('0'),
    why: 'a server without a number gives its binlog to nobody',
    remedy: 'SET GLOBAL server_id to a number of its own, and the same in its configuration',
  },
];

/** Group Replication says its mode also where no group is: only with a group's name it is one. */
function groupFindings(server: FindingServer, { variables }: ServerFacts): Finding[] {
  const mode = variables.get('group_replication_single_primary_mode');
  if (mode === undefined || !isOff(mode) || !variables.get('group_replication_group_name')) return [];
  return [
    {
      code: 'multi-writer',
      severity: 'refuse',
      server,
      object: 'group_replication_single_primary_mode',
      what: 'the group has several primaries: row locks are local to each, and the fence on one does not hold on another',
      remedy: 'SELECT group_replication_switch_to_single_primary_mode()',
    },
  ];
}

/** Durability, locks, limits, clusters, XA. */
export function engineFindings(server: FindingServer, facts: ServerFacts): Finding[] {
  const findings = [...settingFindings(server, facts, engineRules), ...groupFindings(server, facts)];
  if (!facts.sysdateMoves)
    findings.push({
      code: 'sysdate-is-now',
      severity: 'refuse',
      server,
      object: 'sysdate-is-now',
      what: 'SYSDATE() stands still while a statement waits: the deadline of a change of owner would be held against an old time',
      remedy: 'start the server without --sysdate-is-now',
    });
  const watched = facts.variables.get('performance_schema');
  if (facts.dialect === 'mysql' && watched !== undefined && isOff(watched))
    findings.push({
      code: 'lock-waits-hidden',
      severity: 'warn',
      server,
      object: 'performance_schema',
      what: 'the server does not tell who waits for whom: whoever is in the way of a change of owner cannot be named, nor ended when a side is to be opened',
      remedy: 'start the server with --performance-schema=ON',
    });
  if (facts.begunXa > 0 || (facts.preparedXa ?? 0) > 0)
    findings.push({
      code: 'xa-in-use',
      severity: 'warn',
      server,
      object: 'XA',
      what: `${facts.begunXa} XA transactions were begun since the server was started, ${facts.preparedXa ?? 'unknown how many'} are prepared now: the reader holds the rows of each until it is decided, and a prepared one keeps the owner from changing`,
      remedy: 'find out who uses XA; end forgotten ones, which XA RECOVER lists, by XA COMMIT or XA ROLLBACK',
    });
  return findings;
}

// How long the binlog is kept, against how long a backfill may take: the stream must find its place again.
import type { Finding, FindingServer } from './finding.ts';
import type { ServerFacts } from './server-facts.ts';

const hour = 3_600;
const day = 24 * hour;

/** Rows a second of a backfill through translators, on a slow day: small machines do several times that. */
export const backfillRowsPerSecond = 5_000;

/** Seconds for which a server keeps its binlog; infinite when it never purges. */
export function retentionSeconds({ variables }: ServerFacts): number {
  if (variables.get('binlog_expire_logs_auto_purge') === 'OFF') return Number.POSITIVE_INFINITY;
  const seconds = Number(variables.get('binlog_expire_logs_seconds') ?? 0);
  const days = Number(variables.get('expire_logs_days') ?? 0);
  // Where there are both, the seconds count; some versions show the same time in both.
  const kept = seconds > 0 ? seconds : days * day;
  return kept > 0 ? kept : Number.POSITIVE_INFINITY;
}

const inWords = (seconds: number) =>
  seconds < 2 * hour ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / hour)} h`;

/** @param rows of all captured tables, by the server's own estimate */
export function retentionFindings(server: FindingServer, facts: ServerFacts, rows: number): Finding[] {
  const findings: Finding[] = [];
  const kept = retentionSeconds(facts);
  const backfill = rows / backfillRowsPerSecond;
  const least = Math.max(hour, backfill);
  const enough = Math.max(day, 2 * backfill);
  const object =
    Number(facts.variables.get('binlog_expire_logs_seconds') ?? 0) > 0
      ? 'binlog_expire_logs_seconds'
      : 'expire_logs_days';
  if (kept < enough)
    findings.push({
      code: 'retention-short',
      severity: kept < least ? 'refuse' : 'warn',
      server,
      object,
      what: `the binlog is kept for ${inWords(kept)}: a worker that was away longer cannot go on, and the rows have to be read again (a backfill of these tables takes about ${inWords(backfill)} at ${backfillRowsPerSecond} rows a second)`,
      remedy: `SET GLOBAL ${object === 'expire_logs_days' ? `expire_logs_days = ${Math.ceil(enough / day)}` : `binlog_expire_logs_seconds = ${Math.ceil(enough)}`} or more, and the same in the server's configuration`,
    });
  const bytes = facts.variables.get('max_binlog_total_size') ?? '0';
  if (bytes !== '0')
    findings.push({
      code: 'retention-by-size',
      severity: 'warn',
      server,
      object: 'max_binlog_total_size',
      what: `the binlog is purged beyond ${bytes} bytes, however young it is: a busy hour can take away what a stopped worker needs`,
      remedy: 'SET GLOBAL max_binlog_total_size = 0, and keep binlogs by time',
    });
  return findings;
}

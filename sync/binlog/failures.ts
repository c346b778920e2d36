// Which failure of a connection is a reason to try again, and which is the end, with what to do about it.

import type { Position } from '../position.ts';
import { printPosition } from '../position.ts';
import { BinlogError } from './errors.ts';
import type { DumpEnd, ServerError } from './event-queue.ts';

export type Failure =
  | { readonly retry: true; readonly cause: unknown }
  | { readonly retry: false; readonly error: BinlogError };

const fatal = (error: BinlogError): Failure => ({ retry: false, error });

const fatalReading = 1236;
const accessErrors: ReadonlySet<number> = new Set([1044, 1045, 1142, 1227, 1698, 1370, 3118, 3955]);
const sameIdErrors: ReadonlySet<number> = new Set([1947, 1946]);
const retryErrors: ReadonlySet<number> = new Set([
  1040, // too many connections
  1053, // shutdown in progress
  1152,
  1158,
  1159,
  1160,
  1161,
  1184,
  1203,
  1317, // the dump was killed
  1226,
  1927, // MariaDB: connection was killed
]);

const sameIdPattern = /same server_(?:uuid|id)|slave with the same|replica with the same/i;
const lostPattern =
  /purged|could not find first log file|could not find.*(?:log|index)|not in the master's binlog|GTID position.*(?:too old|not found)|required binlog files|state.*requested by (?:slave|replica).*not|connecting (?:slave|replica) requested to start from GTID/i;
const aheadPattern =
  /past (?:the )?end|position > file size|impossible position|has more GTIDs than|not in the master|slave has diverged|diverged/i;
const notLoggedPattern = /binary log is not open|binlog.*not enabled|misconfigured/i;

/** What a server's error 1236 and its like mean, by their words: they have no numbers of their own. */
function serverFailure({ errno, message }: ServerError, from: Position): Failure {
  const said = new Error(`${message} (${errno})`);
  const position = printPosition(from);
  if (sameIdErrors.has(errno) || sameIdPattern.test(message))
    return fatal(
      new BinlogError(
        'duplicate-server-id',
        'another replica or reader with the same server id has connected to the source, which then dropped this one',
        'give each reader a server id of its own, and look for a second instance of this one',
        said,
      ),
    );
  if (errno === fatalReading) {
    if (notLoggedPattern.test(message))
      return fatal(
        new BinlogError('not-logged', 'the server writes no binlog', 'start it with --log-bin', said),
      );
    if (aheadPattern.test(message))
      return fatal(
        new BinlogError(
          'position-ahead',
          `the source's binlog has no position ${position}: it is another server, or it lost the end of its binlog`,
          'check that this is the same server; after a fail-over or a restored backup, compare the tables before going on from a new position',
          said,
        ),
      );
    if (lostPattern.test(message))
      return fatal(
        new BinlogError(
          'position-lost',
          `the source no longer has the binlog after ${position}`,
          'make a new copy of the tables, and keep binlogs longer (binlog_expire_logs_seconds, expire_logs_days)',
          said,
        ),
      );
  }
  if (accessErrors.has(errno)) return accessFailure(said);
  if (retryErrors.has(errno)) return { retry: true, cause: said };
  return fatal(
    new BinlogError(
      'server-error',
      `the source ended the stream: ${message}`,
      `error ${errno} of the source says what it needs`,
      said,
    ),
  );
}

function accessFailure(cause: unknown): Failure {
  const said = cause instanceof Error ? cause.message : String(cause);
  return fatal(
    new BinlogError(
      'access-denied',
      `the source refuses this account: ${said}`,
      'GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* (MariaDB: BINLOG MONITOR), and SELECT on the tables read, to it',
      cause,
    ),
  );
}

/** A connection that did not come about, or a question on it that failed. */
export function connectFailure(cause: unknown, from: Position): Failure {
  if (cause instanceof BinlogError) return fatal(cause);
  const errno: unknown =
    typeof cause === 'object' && cause !== null ? Reflect.get(cause, 'errno') : undefined;
  const code: unknown = typeof cause === 'object' && cause !== null ? Reflect.get(cause, 'code') : undefined;
  const message = cause instanceof Error ? cause.message : String(cause);
  // mysql2's own network errors have system numbers, which are negative, or none.
  if (typeof errno === 'number' && errno >= 1_000 && !String(code).startsWith('PROTOCOL'))
    return serverFailure({ errno, message }, from);
  if (
    code === 'HANDSHAKE_SSL_ERROR' ||
    code === 'HANDSHAKE_NO_SSL_SUPPORT' ||
    code === 'AUTH_SWITCH_PLUGIN_ERROR'
  )
    return accessFailure(cause);
  return { retry: true, cause };
}

export function dumpFailure(end: DumpEnd, from: Position): Failure {
  if (end.by === 'server-error') return serverFailure(end.error, from);
  return { retry: true, cause: end.by === 'eof' ? new Error('the source ended the stream') : end.cause };
}

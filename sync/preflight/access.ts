// The connections that a look at the servers needs, and what is wrong where there are none.
import type { ConnectionOptions } from 'mysql2';
import type { Connection } from 'mysql2/promise';
import type { BanyanConfig, Side } from '../../capability/capability.ts';
import type { Finding, FindingServer } from './finding.ts';
import { codeOf } from './server-facts.ts';
import { serverOf } from './table-findings.ts';

export type PreflightOptions = {
  readonly config: BanyanConfig;
  /** As the worker connects. Rejects where there is no password, or the server says no. */
  readonly connect: (side: Side, account: 'read' | 'apply') => Promise<Connection>;
  /** For a dump, as the account that reads; only asked for where that account could connect. */
  readonly connection: (side: Side) => ConnectionOptions;
  /** As somebody who sees everything on the server; undefined where nobody is known. */
  readonly look: (side: Side) => Promise<Connection> | undefined;
  readonly control: () => Promise<Connection>;
};

/** The connections to one side that there are. */
export type Access = {
  readonly side: Side;
  readonly looker: Connection | undefined;
  readonly read: Connection | undefined;
  readonly apply: Connection | undefined;
};

const lostPattern = /^(E[A-Z]+|PROTOCOL_CONNECTION_LOST|HANDSHAKE_.*|ER_CON_COUNT_ERROR|ER_HOST_.*)$/;

/** The reason is under the error that explains it to people. */
const causeCode = (error: unknown) => codeOf(error instanceof Error ? (error.cause ?? error) : error);
const isLost = (error: unknown) => lostPattern.test(causeCode(error));

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

export function connectFinding(server: FindingServer, object: string, errors: readonly unknown[]): Finding {
  const lost = errors.find(isLost);
  const what = messageOf(lost ?? errors[0]);
  if (lost !== undefined)
    return {
      code: 'unreachable',
      severity: 'refuse',
      server,
      object: server,
      what,
      remedy: 'start the server, or correct its address; what depends on it was not looked at',
    };
  return {
    code: 'not-installed',
    severity: 'refuse',
    server,
    object,
    what,
    remedy: 'run "banyan install": it makes the schema banyan and the accounts, and sets their passwords',
  };
}

export async function openAccess(
  { connect, look }: PreflightOptions,
  side: Side,
): Promise<{ access: Access; findings: Finding[] }> {
  const server = serverOf(side);
  const failures = new Map<string, unknown>();
  const open = async (object: string, opening: Promise<Connection> | undefined) => {
    try {
      return await opening;
    } catch (error) {
      failures.set(object, error);
      return undefined;
    }
  };
  const access = {
    side,
    looker: await open(looker, look(side)),
    read: await open('banyan_read', connect(side, 'read')),
    apply: await open('banyan_apply', connect(side, 'apply')),
  };
  const refused = failures.get(looker);
  const findings: Finding[] = [];
  if (refused !== undefined && !isLost(refused)) {
    failures.delete(looker);
    findings.push({
      code: 'not-all-seen',
      severity: 'warn',
      server,
      object: looker,
      what: messageOf(refused),
      remedy: `correct user and password in ${side === 'legacy' ? '--legacy-url' : '--services-url'}`,
    });
  }
  if (failures.size > 0)
    findings.push(connectFinding(server, [...failures.keys()].join(', '), [...failures.values()]));
  return { access, findings };
}

const looker = 'the account of the URL';

// Who changes an owner at this moment: one command at a time, and the others are told who.
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import type { Connection } from 'mysql2/promise';
import { leaseSeconds, readLease, takeChangeLease } from '../capability/change-store.ts';
import { ageText } from './gated.ts';

/** This process, as others are told of it. */
export const holderNamed = (actor: string, doing: string) =>
  `${actor} (${doing}, ${hostname()}:${process.pid}, ${randomUUID().slice(0, 8)})`;

/** A command of this machine whose process is gone need not be waited for. */
function isDeadHere(holder: string): boolean {
  const [, host, pid] = /, (\S+):(\d+), [0-9a-f]{8}\)$/.exec(holder) ?? [];
  if (host !== hostname() || pid === undefined) return false;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'ESRCH';
  }
}

export type Lease = {
  readonly capability: string;
  readonly holder: string;
  mayWait(): boolean;
  tell(line: string): void;
};

const againMs = 500;

/** @returns who holds it and what to do, when it could not be had in time */
export async function takeLease(
  control: Connection,
  { capability, holder, mayWait, tell }: Lease,
): Promise<string | undefined> {
  let isTold = false;
  for (;;) {
    if (await takeChangeLease(control, capability, holder)) return undefined;
    const held = (await readLease(control, capability)) ?? { holder: 'somebody', msLeft: 0 };
    if (isDeadHere(held.holder) && (await takeChangeLease(control, capability, holder, held.holder)))
      return undefined;
    const message = `${held.holder} is changing the owner of ${capability}; it was heard of ${ageText(leaseSeconds * 1_000 - held.msLeft)} ago`;
    if (!mayWait())
      return `${message}. If it has died, its claim ends in ${Math.ceil(held.msLeft / 1_000)} s: run this again then, or with --wait 15`;
    if (!isTold) tell(`${message}; waiting`);
    isTold = true;
    await delay(againMs);
  }
}

// What an Unleash said last, in a file, for a facade that starts while it is away. Written only with what the server itself
// has confirmed; replaced in one step, so that nobody finds half of it.
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';

export type Backup = {
  /** Where the flags come from: those of another server, or of another environment's URL, are no backup. */
  readonly place: string;
  readonly confirmedAt: Date;
  /** As the server said it. */
  readonly body: unknown;
};

/**
 * @returns undefined when there is none, or one of another place
 * @throws when the file cannot be read, or is no backup
 */
export function readBackup(file: string, place: string): Backup | undefined {
  if (!existsSync(file)) return undefined;
  const backup: unknown = JSON.parse(readFileSync(file, 'utf8'));
  if (typeof backup !== 'object' || backup === null || !('place' in backup) || !('body' in backup))
    throw new Error('it was not written by a facade');
  const confirmedAt = new Date('confirmedAt' in backup ? String(backup.confirmedAt) : '');
  if (Number.isNaN(confirmedAt.getTime())) throw new Error('it does not say of when it is');
  return backup.place === place ? { place, confirmedAt, body: backup.body } : undefined;
}

/** @throws when the file cannot be written */
export function writeBackup(file: string, backup: Backup): void {
  const beside = `${file}.${randomBytes(4).toString('hex')}`;
  writeFileSync(beside, JSON.stringify(backup), { mode: 0o600 });
  renameSync(beside, file);
}

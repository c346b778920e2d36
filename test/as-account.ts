// A database server's URL for one of the accounts whose passwords a folder of the toolkit keeps.
import { readFileSync } from 'node:fs';
import { secretFile } from '../scripts/command.ts';

/** @param path instead of the URL's own: `/SCHEMA`, or `/` for none */
export function asAccount(folder: string, account: string, url: string, path?: string): string {
  const its = new URL(url);
  its.username = account;
  its.password = readFileSync(secretFile(folder, account), 'utf8').trim();
  if (path !== undefined) its.pathname = path;
  return its.href;
}

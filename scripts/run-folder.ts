// A folder under var/ that belongs to one running process and remembers the children it started, so that
// the next start can end what a `kill -9` of that process left behind.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** Another live process owns the folder. */
export class RunFolderBusyError extends Error {
  override name = 'RunFolderBusyError';
  readonly folder: string;
  readonly ownerPid: number;
  constructor(folder: string, ownerPid: number) {
    super(`${folder} is in use: running already (process ${ownerPid})`);
    this.folder = folder;
    this.ownerPid = ownerPid;
  }
}

/**
 * What tells a process from a later one with the same pid: its start time, in the kernel's own words.
 * @returns undefined when there is no such process, or only its zombie
 */
function birthOf(pid: number): string | undefined {
  try {
    if (process.platform !== 'linux')
      return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim();
    // proc(5): field 2, the command, may hold spaces and parentheses; the state is field 3, starttime field 22.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    return undefined; // no such process
  }
}

type Remembered = { pid: number; birth: string; name: string };

const isAlive = ({ pid, birth }: Remembered) => birthOf(pid) === birth;

function read(file: string): Remembered | undefined {
  if (!existsSync(file)) return undefined;
  const [pid, birth, name = ''] = readFileSync(file, 'utf8').split('\n');
  return pid && birth ? { pid: Number(pid), birth, name } : undefined;
}

function write(file: string, pid: number, name = ''): void {
  const birth = birthOf(pid);
  if (birth !== undefined) writeFileSync(file, `${pid}\n${birth}\n${name}\n`);
}

async function end(child: Remembered): Promise<void> {
  for (const [signal, graceMs] of [
    ['SIGTERM', 5_000],
    ['SIGKILL', 5_000],
  ] as const) {
    if (!isAlive(child)) return;
    process.kill(child.pid, signal);
    for (const until = Date.now() + graceMs; Date.now() < until && isAlive(child); ) await delay(20);
  }
}

export type RunFolder = {
  readonly path: string;
  /**
   * Remembers a child, so that it is ended at the next start if this process cannot do it.
   * @param name by which `childNamed` finds it
   */
  remember(pid: number, name?: string): void;
  forget(pid: number): void;
  /** Ends every child that is remembered: SIGTERM, after five seconds SIGKILL. */
  endChildren(): Promise<void>;
};

/**
 * Takes the folder for this process, and ends the children of an owner that is gone.
 * @throws RunFolderBusyError when its owner is alive
 */
export async function claimRunFolder(path: string): Promise<RunFolder> {
  const children = join(path, 'children');
  mkdirSync(children, { recursive: true });
  const ownerFile = join(path, 'owner');
  const owner = read(ownerFile);
  if (owner && owner.pid !== process.pid && isAlive(owner)) throw new RunFolderBusyError(path, owner.pid);
  const endChildren = async () => {
    for (const name of readdirSync(children)) {
      const child = read(join(children, name));
      if (child) await end(child);
      rmSync(join(children, name), { force: true });
    }
  };
  await endChildren();
  write(ownerFile, process.pid);
  return {
    path,
    remember: (pid, name) => write(join(children, String(pid)), pid, name),
    forget: (pid) => rmSync(join(children, String(pid)), { force: true }),
    endChildren,
  };
}

/** @returns its pid; undefined when the folder's owner has no such child, or it has ended */
export function childNamed(path: string, name: string): number | undefined {
  const children = join(path, 'children');
  return readdirSync(children)
    .map((file) => read(join(children, file)))
    .find((child) => child?.name === name && isAlive(child))?.pid;
}

/** Its owner's name goes last: whoever sweeps meanwhile would take a folder without one, and fill it again. */
export function removeRunFolder(path: string): void {
  if (!existsSync(path)) return;
  for (const name of readdirSync(path))
    if (name !== 'owner') rmSync(join(path, name), { recursive: true, force: true });
  rmSync(path, { recursive: true, force: true });
}

/** Removes the folders below `parent` whose owner is gone, and ends what they left running. */
export async function sweepRunFolders(parent: string): Promise<void> {
  if (!existsSync(parent)) return;
  for (const name of readdirSync(parent)) {
    const path = join(parent, name);
    try {
      await claimRunFolder(path);
    } catch (error) {
      if (error instanceof RunFolderBusyError) continue;
      throw error;
    }
    removeRunFolder(path);
  }
}

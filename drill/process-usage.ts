// What Linux says of a process: proc(5).
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';

export type Usage = {
  readonly rssMiB: number;
  /** All but `sockets`. */
  readonly descriptors: number;
  /** TCP connections that are established. */
  readonly sockets: number;
  readonly threads: number;
};

/** proc_net_tcp(5): the inodes of connections that are established, in state 1. */
const established = (pid: number): ReadonlySet<string | undefined> =>
  new Set(
    [`/proc/${pid}/net/tcp`, `/proc/${pid}/net/tcp6`]
      // A kernel may have no IPv6.
      .filter((file) => existsSync(file))
      .flatMap((file) => readFileSync(file, 'utf8').split('\n'))
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => fields[3] === '01')
      .map((fields) => fields[9]),
  );

/** @returns nothing when it was closed meanwhile */
function targetOf(link: string): string {
  try {
    return readlinkSync(link);
  } catch {
    return '';
  }
}

/** @returns undefined when it has ended */
export function usageOf(pid: number): Usage | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const number = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1]);
    const [rssKiB, threads] = [number('VmRSS'), number('Threads')];
    const connected = established(pid);
    const all = readdirSync(`/proc/${pid}/fd`);
    const sockets = all.filter((name) => {
      const [, inode] = /^socket:\[(\d+)\]$/.exec(targetOf(`/proc/${pid}/fd/${name}`)) ?? [];
      return inode !== undefined && connected.has(inode);
    }).length;
    // A zombie has no memory any more.
    return Number.isNaN(rssKiB)
      ? undefined
      : { rssMiB: rssKiB / 1_024, descriptors: all.length - sockets, sockets, threads };
  } catch {
    return undefined;
  }
}

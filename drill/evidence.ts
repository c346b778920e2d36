// What a failed run leaves: both servers' logs and binlogs, the processes' logs, the schedule and what was found.
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * @param to made anew
 * @param from the run's folder, whose servers have ended
 * @param told written as JSON
 * @param logs by their names
 */
export function keepEvidence(
  to: string,
  from: string,
  told: object,
  logs: Readonly<Record<string, string>>,
): void {
  rmSync(to, { recursive: true, force: true });
  mkdirSync(to, { recursive: true });
  writeFileSync(join(to, 'outcome.json'), `${JSON.stringify(told, undefined, 2)}\n`);
  for (const [name, log] of Object.entries(logs)) writeFileSync(join(to, `${name}.log`), log);
  for (const server of readdirSync(from).filter((name) => name.startsWith('server-'))) {
    const data = join(from, server, 'data');
    const kept = join(to, server);
    mkdirSync(kept);
    const log = join(from, server, 'server.log');
    if (existsSync(log)) copyFileSync(log, join(kept, 'server.log'));
    for (const binlog of readdirSync(data).filter((name) => /^binlog\.\d+$/.test(name)))
      copyFileSync(join(data, binlog), join(kept, binlog));
  }
}

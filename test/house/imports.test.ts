// The import picture of DESIGN §3: scripts → sync → capability → acl, facade → capability → acl; the toolkit
// never imports the sample; a package.json marks a boundary that no import crosses.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '..', '..');

const mayImport: Readonly<Record<string, readonly string[]>> = {
  scripts: ['scripts', 'sync', 'capability', 'acl'],
  sync: ['sync', 'capability', 'acl'],
  facade: ['facade', 'capability', 'acl'],
  capability: ['capability', 'acl'],
  acl: ['acl'],
  drill: ['drill', 'scripts', 'sync', 'capability', 'test'],
  'legacy-monolith': ['legacy-monolith'],
  'extracted/reviews': ['extracted/reviews'],
  'extracted/wishlist': ['extracted/wishlist'],
};

const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '*.ts', '*.mjs'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\n')
  .filter((file) => file !== '' && existsSync(join(root, file)));
const isTest = (file: string) =>
  file.endsWith('.test.ts') || file.startsWith('test/') || /(^|\/)test-[^/]*\.ts$/.test(file);
const roomOf = (file: string) =>
  file.startsWith('extracted/') ? file.split('/').slice(0, 2).join('/') : (file.split('/')[0] ?? '');

/** Specifiers of static and dynamic imports and re-exports. */
const importsOf = (file: string): string[] =>
  [
    ...readFileSync(join(root, file), 'utf8').matchAll(
      /^\s*(?:import|export)\s[^'"]*?from\s+['"]([^'"]+)['"]|^\s*import\s+['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/gm,
    ),
  ].map((match) => match[1] ?? match[2] ?? match[3] ?? '');

test('every import goes the way of the picture', () => {
  const wrong: string[] = [];
  let seen = 0;
  for (const file of files.filter((each) => !isTest(each)))
    for (const specifier of importsOf(file).filter((each) => each.startsWith('.'))) {
      seen++;
      const from = roomOf(file);
      const target = relative(root, resolve(root, dirname(file), specifier));
      const to = roomOf(target);
      const allowed = mayImport[from];
      if (
        allowed ? !allowed.includes(to) : from === 'banyan.config.ts' && !['acl', 'capability'].includes(to)
      )
        wrong.push(`${file} imports ${target}`);
      if (!existsSync(join(root, target))) wrong.push(`${file} imports ${target}, which does not exist`);
    }
  expect(seen).toBeGreaterThan(50);
  expect(wrong).toEqual([]);
});

test('the toolkit never imports the sample: only banyan.config.ts knows acl/reviews', () => {
  const wrong = files
    .filter(
      (file) => !isTest(file) && Object.hasOwn(mayImport, roomOf(file)) && !file.startsWith('acl/reviews/'),
    )
    .filter((file) =>
      importsOf(file).some((specifier) =>
        resolve(root, dirname(file), specifier).startsWith(join(root, 'acl/reviews')),
      ),
    );
  expect(wrong).toEqual([]);
});

test('nothing but its test imports the drill', () => {
  const wrong = files
    .filter((file) => !/^(test\/)?drill\//.test(file))
    .filter((file) =>
      importsOf(file).some((specifier) =>
        resolve(root, dirname(file), specifier).startsWith(join(root, 'drill/')),
      ),
    );
  expect(wrong).toEqual([]);
});

test('there are no grab-bag folders and no barrels', () => {
  expect(files.filter((file) => /(^|\/)(utils|common|helpers|types)\/|(^|\/)index\.ts$/.test(file))).toEqual(
    [],
  );
});

test('process.env is read in mains only', () => {
  const mains = [
    'scripts/banyan.ts',
    'scripts/up.ts',
    'scripts/run-tests.ts',
    'scripts/banyan.mjs',
    'scripts/setup.mjs',
    'scripts/supervise.ts',
    'bench/bench.ts',
    'drill/drill.ts',
  ];
  const readers = files.filter(
    (file) =>
      !isTest(file) && !mains.includes(file) && /process\.env/.test(readFileSync(join(root, file), 'utf8')),
  );
  expect(
    readers.filter((file) => !/(^|\/)(server|seed|nightly|options|vitest\.config)\.ts$/.test(file)),
  ).toEqual([]);
});

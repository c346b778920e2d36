// A database server's clock that a test sets while the server runs, by libfaketime (package faketime; scripts/setup.mjs brings it).
import { existsSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

function findLibrary(): string | undefined {
  const folders = ['/usr/lib', '/usr/local/lib']
    .filter((lib) => existsSync(lib))
    .flatMap((lib) => [lib, ...readdirSync(lib).map((each) => join(lib, each))]);
  return folders
    .map((folder) => join(folder, 'faketime', 'libfaketimeMT.so.1'))
    .find((file) => existsSync(file));
}

const library = findLibrary();

/** Without it nothing can be shown. */
export const hasClocks = library !== undefined;

export type Clock = {
  /** For the server's process. */
  readonly env: Readonly<Record<string, string>>;
  /** From now on it shows so much more, or less, than the true time. */
  set(seconds: number): void;
};

/** @param folder of the test's own */
export function clockIn(folder: string): Clock {
  const file = join(folder, 'clock');
  const set = (seconds: number) => {
    // Renamed: it is read at every look at the time, and must never be half.
    writeFileSync(`${file}.new`, `${seconds < 0 ? '' : '+'}${seconds}`);
    renameSync(`${file}.new`, file);
  };
  set(0);
  return {
    env: {
      LD_PRELOAD: library ?? '',
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: '1',
      // Waits go on as they are: only what the server says is late or early.
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    },
    set,
  };
}

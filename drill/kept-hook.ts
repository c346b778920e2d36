// Loaded by `--import` into each Node process of a soak: kept-memory.ts says what for.
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { getHeapStatistics } from 'node:v8';
import { collectEveryMs, mebibyte } from './kept-memory.ts';

const file = join(new URL(import.meta.url).searchParams.get('folder') ?? '', String(process.pid));

function look(): void {
  globalThis.gc?.();
  const { used_heap_size, external_memory } = getHeapStatistics();
  writeFileSync(`${file}.new`, String((used_heap_size + external_memory) / mebibyte));
  renameSync(`${file}.new`, file);
}

setInterval(look, collectEveryMs).unref();

// Loaded by `--import` before a mutant's own code: mutant.ts says what for.
import { registerHooks } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Mutation, mutated } from './mutant.ts';

const root = join(import.meta.dirname, '..', '..');
const mutations: readonly Mutation[] = JSON.parse(
  new URL(import.meta.url).searchParams.get('mutations') ?? '[]',
);

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    if (!url.startsWith('file:') || !loaded.source) return loaded;
    const path = fileURLToPath(url);
    const here = mutations.filter(({ file }) => join(root, file) === path);
    if (here.length === 0) return loaded;
    const { source } = loaded;
    const text = typeof source === 'string' ? source : new TextDecoder().decode(source);
    return { ...loaded, source: here.reduce(mutated, text) };
  },
});

// Several who run inside one stream, as one.
import type { Companion } from './stream.ts';

export const together = (companions: readonly Companion[]): Companion => ({
  passed: (mapping, row, shape) => {
    for (const each of companions) each.passed(mapping, row, shape);
  },
  mark: (mark) => {
    const found = companions.flatMap((each) => each.mark(mark) ?? []);
    return found.length > 0 ? Promise.all(found).then((statements) => statements.flat()) : undefined;
  },
});

// A reporter for vitest: what a run of it came to, in numbers, and every failure whole, for run-tests.ts to say last.
// Vitest's own summary of failures is thousands of lines from the end of a long run, and its JSON leaves out what no test
// was asked about: an error in a hook, or one that nobody caught.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import type { Reporter, SerializedError, TestModule } from 'vitest/node';

export type TestResults = {
  passed: number;
  skipped: number;
  /** `file > suite > test` with its errors; a failure that belongs to no test stands with its file, or alone. */
  failures: { where: string; errors: string[] }[];
};

/** Without the runner's own frames; with what was expected beside what came. */
const text = ({ stack, message, diff }: SerializedError) =>
  stripVTControlCharacters(
    [stack ?? message, diff]
      .filter((part) => typeof part === 'string')
      .join('\n')
      .replace(/^\s+at .*\/node_modules\/vitest\/.*\n?/gm, ''),
  ).trimEnd();

export default class implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]) {
    const results: TestResults = { passed: 0, skipped: 0, failures: [] };
    for (const module of modules) {
      const failed = (name: string, errors: readonly SerializedError[]) => {
        if (errors.length > 0)
          results.failures.push({
            where: [module.relativeModuleId, name].filter(Boolean).join(' > '),
            errors: errors.map(text),
          });
      };
      failed('', module.errors());
      for (const suite of module.children.allSuites()) failed(suite.fullName, suite.errors());
      for (const test of module.children.allTests()) {
        const { state, errors } = test.result();
        if (state === 'passed') results.passed += 1;
        else if (state === 'failed') failed(test.fullName, errors);
        else results.skipped += 1;
      }
    }
    for (const error of unhandled)
      results.failures.push({
        where: `caught by no test, while ${error.VITEST_TEST_PATH ?? 'no file'} > ${error.VITEST_TEST_NAME ?? 'no test'} ran`,
        errors: [text(error)],
      });
    const folder = process.env.BANYAN_TEST_FOLDER;
    if (folder === undefined) throw new Error('BANYAN_TEST_FOLDER is not set: run the tests by npm test');
    writeFileSync(join(folder, 'results.json'), JSON.stringify(results));
  }
}

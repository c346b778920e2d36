import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    // Real servers and child processes: nothing here is shared between files but the two database servers.
    pool: 'forks',
    maxWorkers: 2,
    // Beyond what a test waits for by itself, whose message says more.
    testTimeout: 90_000,
    hookTimeout: 120_000,
    exclude: ['**/node_modules/**', 'var/**'],
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['**/*.test.ts'],
          exclude: ['**/node_modules/**', 'var/**', '**/*.mysql.test.ts', '**/*.full.test.ts'],
        },
      },
      {
        extends: true,
        test: {
          name: 'mysql',
          include: ['**/*.mysql.test.ts'],
          exclude: ['**/node_modules/**', 'var/**', '**/*.full.mysql.test.ts'],
        },
      },
      // The long ones: npm run test:full. Each says in its own file how long it may take; all of them together an hour.
      { extends: true, test: { name: 'full', include: ['**/*.full.mysql.test.ts', '**/*.full.test.ts'] } },
    ],
  },
});

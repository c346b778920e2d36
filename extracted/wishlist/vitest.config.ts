import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    globalSetup: './test-server.ts',
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});

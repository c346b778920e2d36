import { test } from 'vitest';
import { suiteSeed } from '../sync/seed.ts';
import { thereAndBack } from './there-and-back.ts';

// About two minutes.
test('there-and-back-x20', { timeout: 600_000 }, () => thereAndBack(20, suiteSeed('there-and-back-x20')));

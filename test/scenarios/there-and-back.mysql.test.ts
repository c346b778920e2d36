import { test } from 'vitest';
import { suiteSeed } from '../sync/seed.ts';
import { thereAndBack } from './there-and-back.ts';

test('there and back, once', { timeout: 120_000 }, () => thereAndBack(1, suiteSeed('there-and-back')));

// All cases, by what is sent first.
import { answerFramingCases } from './answer-framing-cases.ts';
import { answerHeadCases } from './answer-head-cases.ts';
import type { AnswerCase, RequestCase } from './case.ts';
import { exchangeCases } from './exchange-cases.ts';
import { framingCases } from './framing-cases.ts';
import { headCases } from './head-cases.ts';
import { targetCases } from './target-cases.ts';

export const requestCases: readonly RequestCase[] = [
  ...framingCases,
  ...headCases,
  ...targetCases,
  ...exchangeCases,
];

export const answerCases: readonly AnswerCase[] = [...answerFramingCases, ...answerHeadCases];

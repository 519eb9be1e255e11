import type { CodecCase } from './case.ts';
import { channelCases } from './channel.ts';
import { connectionCases } from './connection.ts';
import { dispatchCases } from './dispatch.ts';
import { encodeCases } from './encode.ts';
import { headerCases } from './header.ts';
import { maskCases } from './mask.ts';
import { parseCases } from './parse.ts';
import { utf8Cases } from './utf8.ts';

/** The parts of the library that are measured by themselves. */
export const CODEC_CASES: readonly CodecCase[] = [
  ...maskCases,
  ...headerCases,
  ...parseCases,
  ...encodeCases,
  ...utf8Cases,
  ...dispatchCases,
  ...channelCases,
  ...connectionCases,
];

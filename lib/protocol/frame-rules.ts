import type { FrameRules } from '../codec/frame-header.ts';
import type { ProtocolLimits, Role } from './events.ts';

/** What the parsers of all connections share that have the same limits: by role, and by whether messages are compressed. */
const known = new WeakMap<ProtocolLimits, Map<string, FrameRules>>();

/** The rules that the frames of a peer have to keep. No frame can be larger than a message may be. */
export function frameRules(role: Role, limits: ProtocolLimits, allowRsv1: boolean): FrameRules {
  let rulesOf = known.get(limits);
  if (rulesOf === undefined) {
    rulesOf = new Map();
    known.set(limits, rulesOf);
  }
  const key = allowRsv1 ? `${role}, RSV1` : role;
  let rules = rulesOf.get(key);
  if (rules === undefined) {
    const maxFrameBytes = Math.min(limits.maxFrameBytes, limits.maxMessageBytes);
    rules = { expectMask: role === 'server', allowRsv1, maxFrameBytes };
    rulesOf.set(key, rules);
  }
  return rules;
}

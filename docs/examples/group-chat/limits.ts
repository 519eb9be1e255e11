import type { TypingLimits } from './typing.ts';

/** What one peer can make this server hold or do. */
export interface ChatLimits extends TypingLimits {
  /** Longest name of a person, in characters. */
  readonly maxNameLength: number;
  /** Longest name of a room, in characters. */
  readonly maxRoomLength: number;
  /** Longest text message, in UTF-16 code units, as the page counts them. */
  readonly maxTextLength: number;
  readonly maxPictureBytes: number;
  /** Pictures travel in pieces of so many bytes, so that both sides can tell how far they are. */
  readonly pieceBytes: number;
  /** How much each room keeps for those who come later. */
  readonly maxHistoryMessages: number;
  readonly maxHistoryBytes: number;
  /** Rooms there may be. Empty ones are kept for their history, until their place is needed. */
  readonly maxRooms: number;
  /** Events a room holds for its slowest member before that one has to ask for the history. */
  readonly maxWaitingEvents: number;
  /** Messages a member may send at once. */
  readonly burstMessages: number;
  /** Messages a member may send in the long run. */
  readonly messagesPerSecond: number;
}

const KIB = 1024;
const MIB = 1024 * KIB;

export const DEFAULT_LIMITS: ChatLimits = {
  maxNameLength: 24,
  maxRoomLength: 40,
  maxTextLength: 2000,
  maxPictureBytes: MIB,
  pieceBytes: 32 * KIB,
  maxHistoryMessages: 100,
  maxHistoryBytes: 4 * MIB,
  maxRooms: 64,
  maxWaitingEvents: 64,
  burstMessages: 20,
  messagesPerSecond: 4,
  typingExpiresMs: 6000,
  typingToldEveryMs: 250,
  maxTypingNames: 5,
};

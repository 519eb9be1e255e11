/** What one peer can make this server hold or do. */
export interface ChatLimits {
  /** Longest name of a person, in characters. */
  readonly maxNameLength: number;
  /** Longest name of a room, in characters. */
  readonly maxRoomLength: number;
  /** Longest text message, in UTF-16 code units, as the page counts them. */
  readonly maxTextLength: number;
  readonly maxPictureBytes: number;
  /** Pictures travel in pieces of so many bytes, so that both sides can tell how far they are. */
  readonly pieceBytes: number;
  /** Messages that are kept of each room for those who come later. Each piece of a picture counts as one. */
  readonly maxHistoryMessages: number;
  /** For how long they are kept. */
  readonly historyMs: number;
  /** Rooms there may be in one process. An empty one counts as long as something that was said in it is kept. */
  readonly maxRooms: number;
  /** Messages a room holds for its slowest member before that one is served from the history. */
  readonly maxWaitingMessages: number;
  /** Messages a member may send at once. */
  readonly burstMessages: number;
  /** Messages a member may send in the long run. */
  readonly messagesPerSecond: number;
  /** How long somebody counts as writing after the last word of it. */
  readonly typingExpiresMs: number;
  /** The others are told of it no more often than this. */
  readonly typingToldEveryMs: number;
  /** Of how many the others are told. */
  readonly maxTypingNames: number;
}

const KIB = 1024;
const MIB = 1024 * KIB;

export const DEFAULT_LIMITS: ChatLimits = {
  maxNameLength: 24,
  maxRoomLength: 40,
  maxTextLength: 2000,
  maxPictureBytes: MIB,
  pieceBytes: 16 * KIB,
  maxHistoryMessages: 512,
  historyMs: 3_600_000,
  maxRooms: 64,
  maxWaitingMessages: 64,
  burstMessages: 20,
  messagesPerSecond: 4,
  typingExpiresMs: 6000,
  typingToldEveryMs: 250,
  maxTypingNames: 5,
};
